// Characters, tokens and comma lists of HTTP/1 fields (RFC 9110 section 5.6), without allocation.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "base/ascii.h"

namespace soleroute::sniffer::http1 {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
using base::is_digit;
constexpr bool is_alnum(char c) {
  return base::is_alphanumeric(c);
}

// What a byte may be part of, looked up once.
enum CharClass : unsigned char { kToken = 1, kValue = 2, kTarget = 4 };

constexpr std::array<unsigned char, 256> make_char_classes() {
  std::array<unsigned char, 256> classes{};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool visible = i > 0x20 && i < 0x7f;
    const bool token = is_alnum(c) || (visible && std::string_view("!#$%&'*+-.^_`|~").contains(c));
    const bool value = i == '\t' || (i >= 0x20 && i != 0x7f);
    // Bytes above ASCII: not RFC 3986, but common clients send paths as they are typed. A fragment never belongs here.
    const bool target = (visible && c != '#') || i >= 0x80;
    classes[static_cast<std::size_t>(i)] =
        static_cast<unsigned char>((token ? kToken : 0) | (value ? kValue : 0) | (target ? kTarget : 0));
  }
  return classes;
}
inline constexpr auto kCharClasses = make_char_classes();

constexpr bool is_token_char(char c) {
  return (kCharClasses[static_cast<unsigned char>(c)] & kToken) != 0;
}
constexpr bool is_value_char(char c) {
  return (kCharClasses[static_cast<unsigned char>(c)] & kValue) != 0;
}
constexpr bool is_target_char(char c) {
  return (kCharClasses[static_cast<unsigned char>(c)] & kTarget) != 0;
}

constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

// ASCII case-insensitive. `lowered` is written in lower case.
constexpr bool same_ignoring_case(std::string_view text, std::string_view lowered) {
  if (text.size() != lowered.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lowered[i]) return false;
  }
  return true;
}

constexpr bool is_one_of(std::string_view text, std::initializer_list<std::string_view> lowered) {
  return std::ranges::any_of(lowered, [text](auto each) { return same_ignoring_case(text, each); });
}

// RFC 9110 section 9.2.2. Methods are case-sensitive: "get" is another method, of which nothing is known.
constexpr bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 5> kIdempotent{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
  return std::ranges::find(kIdempotent, method) != kIdempotent.end();
}

constexpr std::string_view trimmed(std::string_view text) {  // optional whitespace: SP and HTAB
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `use` with every element of a comma list, trimmed; empty elements are skipped (RFC 9110 section 5.6.1.2).
template <class Use>
constexpr void for_each_element(std::string_view list, Use use) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto element = trimmed(list.substr(0, comma));
    if (!element.empty()) use(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace soleroute::sniffer::http1
