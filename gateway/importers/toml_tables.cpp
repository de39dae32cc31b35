// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/importers/toml_tables.h"

#include <algorithm>

#include "base/text.h"
#include "gateway/importers/text_scan.h"

namespace soleroute::gateway::importers {
namespace {

// The first `wanted` outside quotes and brackets.
std::size_t find_outside(std::string_view text, char wanted) {
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (c == wanted && depth == 0) return i;
    if (c == '"' || c == '\'') quote = c;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
  }
  return std::string_view::npos;
}

bool is_complete(std::string_view value) {
  int depth = 0;
  char quote = 0;
  for (const char c : value) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else {
      depth += (c == '[' || c == '{') ? 1 : (c == ']' || c == '}') ? -1 : 0;
    }
  }
  return depth <= 0;
}

std::string without_quotes(std::string_view name) {
  std::string out(trimmed(name));
  std::erase_if(out, [](char c) { return c == '"' || c == '\''; });
  return out;
}

}  // namespace

std::vector<TomlSetting> toml_settings(std::string_view text) {
  std::vector<TomlSetting> out;
  std::string table;
  TomlSetting* open = nullptr;
  for (const auto whole : base::lines_of(text)) {
    const auto line = trimmed(without_comment(whole));
    if (open != nullptr) {
      open->value.append(" ").append(line);
      if (is_complete(open->value)) open = nullptr;
      continue;
    }
    if (line.starts_with('[')) {
      table = without_quotes(line.substr(std::min(line.find_first_not_of('['), line.size()), line.find(']') - 1));
      std::erase(table, ']');
      continue;
    }
    const auto equals = find_outside(line, '=');
    if (equals == std::string_view::npos) continue;
    out.push_back({table, without_quotes(line.substr(0, equals)), std::string(trimmed(line.substr(equals + 1)))});
    if (!is_complete(out.back().value)) open = &out.back();
  }
  return out;
}

std::vector<TomlSetting> inline_table(std::string_view value) {
  std::vector<TomlSetting> out;
  value = trimmed(value);
  if (value.size() < 2 || value.front() != '{' || value.back() != '}') return out;
  value = value.substr(1, value.size() - 2);
  while (!value.empty()) {
    const auto comma = std::min(find_outside(value, ','), value.size());
    const auto pair = value.substr(0, comma);
    if (const auto equals = find_outside(pair, '='); equals != std::string_view::npos) {
      out.push_back({"", without_quotes(pair.substr(0, equals)), std::string(trimmed(pair.substr(equals + 1)))});
    }
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return out;
}

}  // namespace soleroute::gateway::importers
