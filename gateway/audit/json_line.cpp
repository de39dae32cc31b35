// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/json_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <span>

#include "base/text.h"
#include "base/utf8.h"

namespace soleroute::gateway::audit {
namespace {

bool plain_ascii(char letter) {
  return letter >= 0x20 && letter < 0x7F && letter != '"' && letter != '\\';
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
  const auto code = base::utf8::decode(rest);
  if (!code) {
    append_unit(out, static_cast<unsigned char>(first));
    return 1;
  }
  if (base::is_invisible(code->code_point)) {
    append_escape(out, code->code_point);
  } else {
    out += rest.substr(0, code->size);
  }
  return code->size;
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
