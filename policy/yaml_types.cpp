// SPDX-License-Identifier: GPL-3.0-or-later
// What YAML 1.1 readers make of unquoted text: `on`, `1e3`, `2024-01-01` and `12:30:45` are not text to all of them, so
// a policy that holds them where a name belongs is refused rather than guessed at.
#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "policy/source_text.h"
#include "policy/yaml_document.h"

namespace soleroute::policy {
namespace {

bool is_boolean(std::string_view text) {
  constexpr std::array<std::string_view, 8> kWords{"true", "false", "yes", "no", "on", "off", "y", "n"};
  return std::ranges::find(kWords, text) != kWords.end();
}

bool is_null_word(std::string_view text) {
  return text.empty() || text == "~" || text == "null";
}

bool is_based_integer(std::string_view text) {
  if (text.size() < 3 || text[0] != '0') return false;
  const auto digits = text.substr(2);
  const auto all = [&](std::string_view allowed) {
    return digits.find_first_not_of(allowed) == std::string_view::npos;
  };
  if (text[1] == 'x') return all("0123456789abcdef_");
  if (text[1] == 'o') return all("01234567_");
  return text[1] == 'b' && all("01_");
}

// [sign] digits, at most one point, an exponent.
bool is_decimal(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const auto begin = at;
    while (at < text.size() && (base::is_digit(text[at]) || text[at] == '_')) ++at;
    return at > begin;
  };
  bool any = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    any = digits() || any;
  }
  if (!any) return false;
  if (at < text.size() && text[at] == 'e') {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

bool is_number(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  if (text == ".inf" || text == ".nan") return true;
  return is_based_integer(text) || is_decimal(text);
}

// Text of digits and separators in which `pattern` says where digit groups end: "dddd-d-d" for dates.
bool is_date(std::string_view text) {
  if (text.size() < 8 || text.size() > 10 || !std::ranges::all_of(text.substr(0, 4), base::is_digit)) return false;
  const auto rest = text.substr(4);
  return rest.front() == '-' && std::ranges::count(rest, '-') == 2 &&
         std::ranges::all_of(rest, [](char c) { return base::is_digit(c) || c == '-'; }) && base::is_digit(rest.back());
}

bool is_time(std::string_view text) {
  return text.size() >= 3 && base::is_digit(text.front()) && text.find(':') != std::string_view::npos &&
         std::ranges::all_of(text, [](char c) { return base::is_digit(c) || c == ':' || c == '.'; });
}

}  // namespace

std::string_view type_name(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMapping:
      return "a mapping";
    case YamlNode::Kind::kScalar:
      break;
  }
  if (node.quoted) return "text";
  const std::string text = lowered(node.text);
  if (is_null_word(text)) return "nothing";
  if (is_boolean(text)) return "a boolean";
  if (is_number(text)) return "a number";
  if (is_date(text)) return "a date";
  return is_time(text) ? "a time" : "text";
}

bool is_text(const YamlNode& node) {
  return type_name(node) == "text";
}

}  // namespace soleroute::policy
