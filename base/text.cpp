// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "base/utf8.h"

namespace soleroute::base {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

constexpr std::array kInvisible{
    Range{0x00, 0x1F},        // C0
    Range{0x7F, 0x9F},        // DEL and C1
    Range{0xAD, 0xAD},        // soft hyphen
    Range{0x34F, 0x34F},      // combining grapheme joiner
    Range{0x61C, 0x61C},      // Arabic letter mark
    Range{0x180E, 0x180E},    // Mongolian vowel separator
    Range{0x200B, 0x200F},    // zero width, direction marks
    Range{0x2028, 0x202E},    // separators, bidirectional embedding and override
    Range{0x2060, 0x206F},    // invisible operators, isolates
    Range{0x3164, 0x3164},    // Hangul filler
    Range{0xD800, 0xF8FF},    // surrogates cannot come here; private use
    Range{0xFE00, 0xFE0F},    // variation selectors
    Range{0xFEFF, 0xFEFF},    // byte order mark
    Range{0xFFF0, 0xFFFF},    // interlinear annotation, non-characters
    Range{0xE0000, 0x10FFFF}  // tags, private use
};

// "\u{202e}", at least so many digits.
std::string escape(char kind, std::uint32_t value, std::size_t digits) {
  std::array<char, 8> text{};
  const auto end = std::to_chars(text.begin(), text.end(), value, 16).ptr;
  const auto size = static_cast<std::size_t>(end - text.begin());
  return std::string{'\\', kind, '{'} + std::string(digits - std::min(digits, size), '0') +
         std::string(text.data(), size) + '}';
}

}  // namespace

bool is_invisible(char32_t code_point) {
  return std::ranges::any_of(kInvisible,
                             [&](const Range& range) { return code_point >= range.first && code_point <= range.last; });
}

std::string shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto decoded = utf8::decode(text);
    const std::size_t size = decoded ? decoded->size : 1;
    if (!decoded) {
      out += escape('x', static_cast<std::uint8_t>(text.front()), 2);
    } else if (decoded->code_point == U'\t') {
      out += ' ';
    } else if (is_invisible(decoded->code_point)) {
      out += escape('u', decoded->code_point, 4);
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

std::string shown_ascii(std::string_view text, std::size_t most) {
  std::string out(text.substr(0, most));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c >= 0x7f; }, '?');
  return out;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string indented(std::string_view text, std::string_view margin) {
  std::string out;
  for (const auto line : lines_of(text)) out.append(margin).append(line) += '\n';
  return out;
}

}  // namespace soleroute::base
