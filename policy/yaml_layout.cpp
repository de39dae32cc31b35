// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/yaml_layout.h"

#include <algorithm>

namespace soleroute::policy {
namespace {

constexpr std::string_view kSpace = " \t\n";

bool is_space(char c) {
  return kSpace.contains(c);
}

// Behind the quoted scalar that begins at `at`.
std::size_t quoted_end(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      if (quote == '"' || at + 1 == text.size() || text[at + 1] != quote) return at + 1;
      ++at;  // '' inside '…'
    }
  }
  return text.size();
}

// A quote elsewhere is a character of a plain scalar.
bool begins_scalar(std::string_view text, std::size_t at) {
  return at == 0 || is_space(text[at - 1]) || std::string_view("[{,:").contains(text[at - 1]);
}

}  // namespace

YamlLayout::YamlLayout(std::string_view text) : text_(text), begins_{0} {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    begins_.push_back(at + 1);
  }
}

std::size_t YamlLayout::line_end(int number) const {
  return number < line_count() ? begins_[static_cast<std::size_t>(number)] - 1 : text_.size();
}

std::string_view YamlLayout::line(int number) const {
  const auto begin = begins_[static_cast<std::size_t>(number) - 1];
  return text_.substr(begin, line_end(number) - begin);
}

int YamlLayout::line_of(std::size_t offset) const {
  return static_cast<int>(std::ranges::upper_bound(begins_, offset) - begins_.begin());
}

std::size_t YamlLayout::offset(Position position) const {
  const int number = std::clamp(position.line, 1, line_count());
  const auto column = static_cast<std::size_t>(std::max(position.column, 1)) - 1;
  return std::min(begins_[static_cast<std::size_t>(number) - 1] + column, line_end(number));
}

std::size_t YamlLayout::indent(int number) const {
  const auto first = line(number).find_first_not_of(' ');
  return first == std::string_view::npos ? line(number).size() : first;
}

bool YamlLayout::has_content(int number) const {
  const auto first = line(number).find_first_not_of(" \t");
  return first != std::string_view::npos && line(number)[first] != '#';
}

bool YamlLayout::is_comment(int number) const {
  const auto first = line(number).find_first_not_of(" \t");
  return first != std::string_view::npos && line(number)[first] == '#';
}

std::size_t YamlLayout::value_begin(Position position) const {
  std::size_t at = offset(position);
  while (at < text_.size() && (text_[at] == '&' || text_[at] == '!')) {
    at = std::min(text_.find_first_of(kSpace, at), text_.size());
    while (at < text_.size() && (is_space(text_[at]) || text_[at] == '#')) {
      at = text_[at] == '#' ? line_end(line_of(at)) : at + 1;
    }
  }
  return at;
}

int YamlLayout::block_end(int first, std::size_t column, bool dashes) const {
  int last = first;
  for (int number = first + 1; number <= line_count(); ++number) {
    if (!has_content(number)) continue;
    const bool inside = indent(number) > column ||
                        (indent(number) == column && (!dashes || line(number).substr(column).starts_with('-')));
    if (!inside) break;
    last = number;
  }
  const auto belongs = [&](int number) { return is_comment(number) && indent(number) >= column; };
  while (column > 0 && last < line_count() && belongs(last + 1)) ++last;
  return last;
}

YamlLayout::Brackets YamlLayout::brackets(std::size_t open) const {
  Brackets found{.close = text_.size(), .content = open + 1, .empty = true};
  int depth = 0;
  for (std::size_t at = open; at < text_.size();) {
    const char c = text_[at];
    std::size_t next = at + 1;
    if (is_space(c)) {
      at = next;
      continue;
    }
    if (c == '#' && at > 0 && is_space(text_[at - 1])) {
      at = line_end(line_of(at));
      continue;
    }
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && --depth == 0) {
      found.close = at;
      return found;
    }
    if ((c == '"' || c == '\'') && begins_scalar(text_, at)) next = quoted_end(text_, at);
    if (at != open) {
      found.content = next;
      found.empty = false;
      found.comma = c == ',';
    }
    at = next;
  }
  return found;
}

}  // namespace soleroute::policy
