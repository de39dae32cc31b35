// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace soleroute::base::utf8 {
namespace {

struct Lead {
  std::size_t size;
  char32_t bits;
  char32_t least;  // below it the form is overlong
};

std::optional<Lead> lead_of(std::uint8_t byte) {
  if (byte < 0x80) return Lead{1, byte, 0};
  if (byte >= 0xc2 && byte <= 0xdf) return Lead{2, static_cast<char32_t>(byte & 0x1f), 0x80};
  if (byte >= 0xe0 && byte <= 0xef) return Lead{3, static_cast<char32_t>(byte & 0x0f), 0x800};
  if (byte >= 0xf0 && byte <= 0xf4) return Lead{4, static_cast<char32_t>(byte & 0x07), 0x10000};
  return std::nullopt;
}

}  // namespace

std::optional<Decoded> decode(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto lead = lead_of(static_cast<std::uint8_t>(text.front()));
  if (!lead || lead->size > text.size()) return std::nullopt;
  char32_t value = lead->bits;
  for (std::size_t i = 1; i < lead->size; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if ((byte & 0xc0) != 0x80) return std::nullopt;
    value = (value << 6) | (byte & 0x3fU);
  }
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < lead->least || surrogate || value > 0x10ffff) return std::nullopt;
  return Decoded{value, lead->size};
}

std::optional<std::size_t> first_fault(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<std::uint8_t>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const auto decoded = decode(text.substr(at));
    if (!decoded) return at;
    at += decoded->size;
  }
  return std::nullopt;
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace soleroute::base::utf8
