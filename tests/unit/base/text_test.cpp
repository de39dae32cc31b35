// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/text.h"

#include <gtest/gtest.h>

namespace soleroute::base {
namespace {

TEST(Text, IsShownWithoutDrivingATerminal) {
  struct Row {
    std::string_view text;
    std::string_view expect;
    const char* reason;
  };
  const Row rows[] = {
      {"plain text", "plain text", "kept"},
      {"bücher 試験", "bücher 試験", "visible UTF-8 is kept"},
      {"a\tb", "a b", "a tab moves the cursor"},
      {"\x1b[2J\n", "\\u{001b}[2J\\u{000a}", "control characters"},
      {"\xc2\x9b", "\\u{009b}", "C1: CSI in one character"},
      {"a\xe2\x80\xae"
       "b",
       "a\\u{202e}b", "bidirectional override"},
      {"\xf3\xa0\x81\x81", "\\u{e0041}", "a tag, which nothing shows"},
      {"\xe3\x85\xa4", "\\u{3164}", "a letter that looks like a blank"},
      {"\xff\xc3", "\\x{ff}\\x{c3}", "not UTF-8"},
  };
  for (const Row& row : rows) EXPECT_EQ(shown(row.text), row.expect) << row.reason;
}

TEST(Text, IsShownInPrintableAsciiUpToABound) {
  EXPECT_EQ(shown_ascii("a b\x1b\xc3\xbc\x7f~", 100), "a b????~");
  EXPECT_EQ(shown_ascii("abc", 2), "ab");
}

TEST(Text, IsIndentedLineByLine) {
  EXPECT_EQ(indented("a\n\nb", "  "), "  a\n  \n  b\n");
  EXPECT_EQ(indented("a\n", "  "), "  a\n");
  EXPECT_EQ(indented("", "  "), "");
}

}  // namespace
}  // namespace soleroute::base
