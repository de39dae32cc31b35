// Pieces of texts that other tools read: words, quoted strings, options of a command line.
// Pure functions; views borrow from the text.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::importers {

[[nodiscard]] std::string_view trimmed(std::string_view text);
// Between any of `separators`, without empty ones.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, std::string_view separators);
// The line without what follows a '#' outside quotes that begins it or stands behind a space.
[[nodiscard]] std::string_view without_comment(std::string_view line);
// What is in '…' or "…", in order; escapes stay as they are.
[[nodiscard]] std::vector<std::string_view> quoted_strings(std::string_view text);
// The text in one pair of quotes; nothing: it is not in quotes.
[[nodiscard]] std::optional<std::string_view> unquoted(std::string_view text);
// Every value of `--name VALUE` and `--name=VALUE` in a command line or script, without its quotes.
[[nodiscard]] std::vector<std::string> option_values(std::string_view text, std::string_view name);

}  // namespace soleroute::gateway::importers
