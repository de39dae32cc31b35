// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/host_name.h"

#include <algorithm>
#include <ranges>

#include "base/ascii.h"
#include "base/text.h"

namespace soleroute::base {
namespace {

constexpr std::size_t kShown = 80;  // of a bad name, in messages

// Decimal, or hexadecimal after 0x: what inet_aton() and URL parsers read as part of an IPv4 address.
bool is_numeric_label(std::string_view label) {
  if (std::ranges::all_of(label, is_digit)) return true;
  if (!label.starts_with("0x")) return false;
  return std::ranges::all_of(label.substr(2), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

const char* label_fault(std::string_view label) {
  if (label.empty()) return "has an empty label";
  if (label.size() > HostName::kMaxLabel) return "has a label of more than 63 characters";
  if (label.front() == '-' || label.back() == '-') return "has a label that begins or ends with '-'";
  for (const char c : label) {
    if (!is_lower(c) && !is_digit(c) && c != '-' && c != '_') return "has a character that host names cannot have";
  }
  return nullptr;
}

}  // namespace

Result<HostName> HostName::parse(std::string_view text) {
  const auto bad = [&](const char* why) {
    return usage_error("'" + shown_ascii(text, kShown) + (text.size() > kShown ? "…" : "") + "' " + why);
  };
  std::string_view name = text;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return bad("is not a host name");
  if (name.size() > kMaxLength) return bad("is longer than 253 characters");
  std::string canonical(name);
  std::ranges::transform(canonical, canonical.begin(), lower);

  std::string_view last;
  for (const auto part : std::views::split(std::string_view(canonical), '.')) {
    last = std::string_view(part.begin(), part.end());
    if (const char* fault = label_fault(last)) return bad(fault);
  }
  if (is_numeric_label(last)) return bad("is an address or a number, not a host name");
  return HostName(std::move(canonical));
}

std::string_view HostName::parent() const {
  const auto dot = text_.find('.');
  return dot == std::string::npos ? std::string_view{} : std::string_view(text_).substr(dot + 1);
}

bool HostName::is_below(std::string_view suffix) const {
  return text_.size() > suffix.size() + 1 && text_.ends_with(suffix) && text_[text_.size() - suffix.size() - 1] == '.';
}

}  // namespace soleroute::base
