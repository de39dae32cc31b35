// The part of TOML that settings files use: tables, and keys with texts, booleans, arrays and inline tables.
// Pure; views borrow from the text.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::importers {

struct TomlSetting {
  std::string table;  // "permissions.work.network", without quotes
  std::string key;    // without quotes
  std::string value;  // as written, on one line
};

// Every `key = value` in order. A value in brackets may have several lines.
[[nodiscard]] std::vector<TomlSetting> toml_settings(std::string_view text);
// The settings of an inline table, `{ "a" = "allow" }`.
[[nodiscard]] std::vector<TomlSetting> inline_table(std::string_view value);

}  // namespace soleroute::gateway::importers
