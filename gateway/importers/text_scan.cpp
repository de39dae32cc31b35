// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/importers/text_scan.h"

#include <algorithm>

namespace soleroute::gateway::importers {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool is_quote(char c) {
  return c == '"' || c == '\'';
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const auto begin = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(begin);
  const auto end = text.find_last_not_of(kSpace);
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string_view without_comment(std::string_view line) {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quote != 0) {
      if (line[i] == quote) quote = 0;
    } else if (is_quote(line[i])) {
      quote = line[i];
    } else if (line[i] == '#' && (i == 0 || kSpace.contains(line[i - 1]))) {
      return line.substr(0, i);
    }
  }
  return line;
}

std::vector<std::string_view> quoted_strings(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_quote(text[i])) continue;
    const auto end = text.find(text[i], i + 1);
    if (end == std::string_view::npos) break;
    out.push_back(text.substr(i + 1, end - i - 1));
    i = end;
  }
  return out;
}

std::optional<std::string_view> unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 2 || !is_quote(text.front()) || text.back() != text.front()) return std::nullopt;
  const auto inside = text.substr(1, text.size() - 2);
  if (inside.contains(text.front())) return std::nullopt;
  return inside;
}

std::vector<std::string> option_values(std::string_view text, std::string_view name) {
  std::vector<std::string> out;
  for (auto at = text.find(name); at != std::string_view::npos; at = text.find(name, at + name.size())) {
    auto rest = text.substr(at + name.size());
    if (rest.empty() || (rest.front() != '=' && !kSpace.contains(rest.front()))) continue;
    rest.remove_prefix(1);
    rest.remove_prefix(std::min(rest.find_first_not_of(kSpace), rest.size()));
    if (rest.empty()) break;
    const bool quoted = is_quote(rest.front());
    const auto end = quoted ? rest.find(rest.front(), 1) : rest.find_first_of(" \t\r\n");
    if (quoted && end == std::string_view::npos) break;
    out.emplace_back(quoted ? rest.substr(1, end - 1) : rest.substr(0, end));
  }
  return out;
}

}  // namespace soleroute::gateway::importers
