// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/json_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace soleroute::gateway::audit {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

std::string escaped(std::string_view text) {
  std::string out;
  append_escaped(out, text);
  return out;
}

TEST(AppendEscaped, WritesEachCharacterAsItIsOrAsAnEscape) {
  struct Row {
    std::string input;
    std::string expected;
    const char* why;
  };
  const Row rows[] = {
      {"", "", "nothing"},
      {"api.example.org /v1/?~", "api.example.org /v1/?~", "printable ASCII is kept"},
      {"b\xC3\xBC"
       "cher.example \xE6\x97\xA5 \xF0\x9F\x9A\x80",
       "b\xC3\xBC"
       "cher.example \xE6\x97\xA5 \xF0\x9F\x9A\x80",
       "visible characters of two, three and four bytes are kept"},
      {R"(a"b\c/d)", R"(a\"b\\c/d)", "RFC 8259 section 7"},
      {"a\r\nb\tc\b", "a\\u000d\\u000ab\\u0009c\\u0008", "no second line, no backspace over what was said"},
      {"a\0b"s, "a\\u0000b", "NUL"},
      {"\x1b]0;pwned\x07\x1b[2J", "\\u001b]0;pwned\\u0007\\u001b[2J", "terminal title and clear screen"},
      {"\x7f", "\\u007f", "DEL"},
      {"\xC2\x9B"
       "31m",
       "\\u009b31m", "C1 CSI as UTF-8"},
      {"\x9b"
       "31m",
       "\\u009b31m", "C1 CSI as a bare byte"},
      {"\xff\xfe", "\\u00ff\\u00fe", "never bytes of UTF-8"},
      {"\xC0\xAF", "\\u00c0\\u00af", "an over-long slash"},
      {"\xE0\x80\xAF", "\\u00e0\\u0080\\u00af", "an over-long slash of three bytes"},
      {"\xED\xA0\x80", "\\u00ed\\u00a0\\u0080", "a surrogate"},
      {"\xF4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080", "above U+10FFFF"},
      {"\xF8\x88\x80\x80\x80", "\\u00f8\\u0088\\u0080\\u0080\\u0080", "five bytes"},
      {"x\xE6\x97", "x\\u00e6\\u0097", "cut short at the end"},
      {"\xE6\x97x", "\\u00e6\\u0097x", "cut short in the middle"},
      {"\xE2\x80\xA8\xE2\x80\xA9", "\\u2028\\u2029", "line and paragraph separator"},
      {"\xE2\x80\xAE"
       "txt.exe",
       "\\u202etxt.exe", "right-to-left override"},
      {"\xE2\x81\xA6\xE2\x81\xA9", "\\u2066\\u2069", "isolates"},
      {"\xE2\x80\x8B\xEF\xBB\xBF", "\\u200b\\ufeff", "zero width"},
      {"\xF3\xA0\x81\x81", "\\udb40\\udc41", "an invisible tag letter, as a surrogate pair"},
  };
  for (const Row& row : rows) EXPECT_EQ(escaped(row.input), row.expected) << row.why;
}

TEST(AppendEscaped, GivesParsableJsonOfPrintableBytesForEveryPairOfBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string input{static_cast<char>(first), static_cast<char>(second)};
      const std::string quoted = '"' + escaped(input) + '"';
      ASSERT_TRUE(nlohmann::json::accept(quoted)) << first << ' ' << second << ' ' << quoted;
      ASSERT_TRUE(std::ranges::none_of(quoted, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; })) << quoted;
    }
  }
}

TEST(AppendEscaped, RoundTripsThroughAParserWhereTheInputWasUtf8) {
  const std::string input = "a\"\\\n\x1b\xC2\x9B\xE2\x80\xAE\xF3\xA0\x81\x81\xE6\x97\xA5";
  EXPECT_EQ(nlohmann::json::parse('"' + escaped(input) + '"').get<std::string>(), input);
}

TEST(JsonLine, IsOneObjectWithTimeAndTypeFirst) {
  std::string out = "old contents";
  const auto when = std::chrono::sys_days(std::chrono::year(2024) / 2 / 29) + 23h + 59min + 58s + 7ms;
  JsonLine line(out, when, "decision");
  line.text("host", "example.com");
  line.text("empty", "");
  line.number("port", 443);
  line.number("low", -9223372036854775807 - 1);
  line.boolean("accepted", true);
  line.finish();
  EXPECT_EQ(out,
            "{\"ts\":\"2024-02-29T23:59:58.007Z\",\"type\":\"decision\",\"host\":\"example.com\",\"port\":443,"
            "\"low\":-9223372036854775808,\"accepted\":true}\n");
}

TEST(JsonLine, WritesTheRightSecondAfterTheCachedOne) {
  const auto day = std::chrono::sys_days(std::chrono::year(2026) / 12 / 31);
  const auto stamp = [](auto when) {
    std::string out;
    JsonLine(out, when, "x").finish();
    return out.substr(7, 24);
  };
  EXPECT_EQ(stamp(day + 23h + 59min + 59s + 999ms), "2026-12-31T23:59:59.999Z");
  EXPECT_EQ(stamp(day + 24h), "2027-01-01T00:00:00.000Z");
  EXPECT_EQ(stamp(day + 23h + 59min + 59s), "2026-12-31T23:59:59.000Z");
}

TEST(JsonLine, CutsOverLongTextAndSaysSo) {
  std::string out;
  JsonLine line(out, {}, "decision");
  line.text("path", std::string(65536, 'A'));
  line.text("host", std::string(kMaxLoggedText, 'b'));
  line.finish();
  const auto object = nlohmann::json::parse(out);
  EXPECT_EQ(object["path"], std::string(kMaxLoggedText, 'A'));
  EXPECT_EQ(object["host"], std::string(kMaxLoggedText, 'b'));
  EXPECT_EQ(object["truncated"], true);

  JsonLine whole(out, {}, "decision");
  whole.text("host", std::string(kMaxLoggedText, 'b'));
  whole.finish();
  EXPECT_FALSE(nlohmann::json::parse(out).contains("truncated"));
}

TEST(JsonLine, DoesNotCutACharacterInTwo) {
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string text(shift, 'a');
    while (text.size() < 2 * kMaxLoggedText) text += "\xF0\x9F\x9A\x80";
    std::string out;
    JsonLine line(out, {}, "decision");
    line.text("path", text);
    line.finish();
    const auto path = nlohmann::json::parse(out)["path"].get<std::string>();
    EXPECT_TRUE(text.starts_with(path)) << "no byte of a cut character is shown as broken";
    EXPECT_GT(path.size(), kMaxLoggedText - 4);
  }
}

}  // namespace
}  // namespace soleroute::gateway::audit
