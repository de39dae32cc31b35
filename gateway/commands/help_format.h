// The layout of help pages, and the texts of options that help, man pages and completion share.
// Pure, except help_width.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class FormatterBase;
class Option;
}  // namespace CLI

namespace soleroute::gateway::commands {

// \u00a0 is a blank at which a line is not broken.
inline constexpr std::string_view kExitStatusLine =
    "Exit status: 0\u00a0success, 1\u00a0denied or failed check, 2\u00a0usage or policy error, "
    "3\u00a0system\u00a0error";

// Options of this group are accepted, and shown on another page: those of serving, given without a command.
inline constexpr const char* kUnshownGroup = "unshown";

// The terminal's width, or COLUMNS; 80 at most where standard output is no terminal.
[[nodiscard]] std::size_t help_width();

// `text` as lines of at most `width` columns, indented from the second line on. Words are never broken.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

// "text (a)" and "b" to "text (a; b)"; a default comes last.
[[nodiscard]] std::string with_note(std::string text, std::string_view note);

// "FILE", "text|json"; empty for a flag.
[[nodiscard]] std::string placeholder_of(const CLI::Option& option);
// The values that can be given, where they are fixed.
[[nodiscard]] std::vector<std::string> choices_of(const CLI::Option& option);
[[nodiscard]] bool is_repeatable(const CLI::Option& option);
// "-p, --policy FILE", or "FILE..." for a positional argument.
[[nodiscard]] std::string label_of(const CLI::Option& option);
// The description with the default.
[[nodiscard]] std::string description_of(const CLI::Option& option);
// "[OPTIONS] [FILE...]": what follows the command's name.
[[nodiscard]] std::string usage_of(const CLI::App& command);

[[nodiscard]] std::shared_ptr<CLI::FormatterBase> make_help_formatter();

// The first page: commands in groups, three examples, about 20 lines.
[[nodiscard]] std::string overview(const CLI::App& program);

}  // namespace soleroute::gateway::commands
