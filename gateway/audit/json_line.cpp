// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/json_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <span>

namespace soleroute::gateway::audit {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // bytes
};

struct Range {
  char32_t first;
  char32_t last;
};

// Characters that move, hide or reorder what a reader sees.
constexpr std::array kInvisible{
    Range{0x7F, 0x9F},        // DEL and C1
    Range{0xAD, 0xAD},        // soft hyphen
    Range{0x61C, 0x61C},      // Arabic letter mark
    Range{0x180E, 0x180E},    // Mongolian vowel separator
    Range{0x200B, 0x200F},    // zero width, direction marks
    Range{0x2028, 0x202E},    // separators, bidirectional embedding and override
    Range{0x2060, 0x206F},    // invisible operators, isolates
    Range{0xD800, 0xF8FF},    // surrogates cannot come here; private use
    Range{0xFE00, 0xFE0F},    // variation selectors
    Range{0xFEFF, 0xFEFF},    // byte order mark
    Range{0xFFF0, 0xFFFF},    // interlinear annotation, non-characters
    Range{0xE0000, 0x10FFFF}  // tags, private use
};

bool visible(char32_t code) {
  return std::ranges::none_of(kInvisible, [code](Range range) { return code >= range.first && code <= range.last; });
}

bool plain_ascii(char letter) {
  return letter >= 0x20 && letter < 0x7F && letter != '"' && letter != '\\';
}

// RFC 3629 section 3: shortest form only, no surrogates, nothing above U+10FFFF.
std::optional<CodePoint> decode(std::string_view text) {
  const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned lead = byte(0);
  const std::size_t length = lead < 0x80                    ? 1
                             : lead >= 0xC2 && lead <= 0xDF ? 2
                             : lead >= 0xE0 && lead <= 0xEF ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  if (length == 0 || length > text.size()) return std::nullopt;
  if (length == 1) return CodePoint{lead, 1};
  char32_t value = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return std::nullopt;
    value = (value << 6U) | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kShortest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kShortest[length] || value > 0x10FFFF || surrogate) return std::nullopt;
  return CodePoint{value, length};
}

void append_unit(std::string& out, unsigned unit) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(unit >> static_cast<unsigned>(shift)) & 0xFU];
}

void append_escape(std::string& out, char32_t code) {
  if (code < 0x10000) return append_unit(out, code);
  code -= 0x10000;  // RFC 8259 section 7: a UTF-16 surrogate pair
  append_unit(out, 0xD800U + (code >> 10U));
  append_unit(out, 0xDC00U + (code & 0x3FFU));
}

// One character or one bad byte; returns how many bytes it was.
std::size_t append_special(std::string& out, std::string_view rest) {
  const char first = rest.front();
  if (first == '"' || first == '\\') {
    out += '\\';
    out += first;
    return 1;
  }
  const auto code = decode(rest);
  if (!code) {
    append_unit(out, static_cast<unsigned char>(first));
    return 1;
  }
  if (code->value < 0x20 || !visible(code->value)) {
    append_escape(out, code->value);
  } else {
    out += rest.substr(0, code->length);
  }
  return code->length;
}

// Not in the middle of a UTF-8 sequence, so that the cut does not make bytes look broken that were not.
std::string_view cut(std::string_view text) {
  std::size_t end = kMaxLoggedText;
  for (int back = 0; back < 3 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U; ++back) --end;
  return text.substr(0, end);
}

void put_digits(std::span<char> at, unsigned value) {
  for (std::size_t i = at.size(); i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

// "2026-11-24T02:03:04.005Z"; calendar arithmetic only once a second and thread.
void append_time(std::string& out, std::chrono::system_clock::time_point when) {
  using std::chrono::floor;
  struct Cached {
    std::chrono::sys_seconds second{std::chrono::seconds(-1)};
    std::array<char, 24> text{};
  };
  thread_local Cached cached;
  const auto second = floor<std::chrono::seconds>(when);
  const std::span<char> text(cached.text);
  if (second != cached.second) {
    const auto day = floor<std::chrono::days>(second);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(second - day);
    constexpr std::string_view kShape = "0000-00-00T00:00:00.000Z";
    std::ranges::copy(kShape, cached.text.begin());
    put_digits(text.subspan(0, 4), static_cast<unsigned>(static_cast<int>(date.year())));
    put_digits(text.subspan(5, 2), static_cast<unsigned>(date.month()));
    put_digits(text.subspan(8, 2), static_cast<unsigned>(date.day()));
    put_digits(text.subspan(11, 2), static_cast<unsigned>(time.hours().count()));
    put_digits(text.subspan(14, 2), static_cast<unsigned>(time.minutes().count()));
    put_digits(text.subspan(17, 2), static_cast<unsigned>(time.seconds().count()));
    cached.second = second;
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when - second).count();
  put_digits(text.subspan(20, 3), static_cast<unsigned>(ms));
  out.append(text.data(), text.size());
}

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto stop = std::ranges::find_if_not(text, plain_ascii);
    const auto plain = static_cast<std::size_t>(stop - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (!text.empty()) text.remove_prefix(append_special(out, text));
  }
}

JsonLine::JsonLine(std::string& out, std::chrono::system_clock::time_point when, std::string_view type) : out_(out) {
  out_.clear();
  out_ += R"({"ts":")";
  append_time(out_, when);
  out_ += R"(","type":")";
  out_ += type;
  out_ += '"';
}

void JsonLine::key(std::string_view name) {
  out_ += ",\"";
  out_ += name;
  out_ += "\":";
}

void JsonLine::text(std::string_view key_name, std::string_view value) {
  if (value.empty()) return;
  if (value.size() > kMaxLoggedText) {
    value = cut(value);
    truncated_ = true;
  }
  key(key_name);
  out_ += '"';
  append_escaped(out_, value);
  out_ += '"';
}

void JsonLine::number(std::string_view key_name, std::int64_t value) {
  key(key_name);
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out_.append(digits.data(), end);
}

void JsonLine::boolean(std::string_view key_name, bool value) {
  key(key_name);
  out_ += value ? "true" : "false";
}

void JsonLine::finish() {
  if (truncated_) boolean("truncated", true);
  out_ += "}\n";
}

}  // namespace soleroute::gateway::audit
