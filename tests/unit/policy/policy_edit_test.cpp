// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/policy_edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::HasSubstr;

std::string edited(const std::string& text, const std::vector<NewEntry>& entries) {
  const auto result = with_entries({"policy.yaml", text}, entries);
  EXPECT_TRUE(result.has_value()) << text << "\n" << result.error().message;
  return result.value_or("");
}

std::string error_of(const std::string& text, const std::vector<NewEntry>& entries) {
  const auto result = with_entries({"policy.yaml", text}, entries);
  EXPECT_FALSE(result.has_value()) << text << "\nbecame\n" << result.value_or("");
  return result.has_value() ? "" : result.error().message;
}

struct Row {
  std::string before;
  std::string after;
  std::string item = "new.test";
  std::string list = "domains";
};

void expect_all(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    EXPECT_EQ(edited(row.before, {{.list = row.list, .item = row.item}}), row.after) << "of " << row.before;
  }
}

TEST(PolicyEdit, AddsALineToABlockInItsOwnStyle) {
  expect_all({
      {"domains:\n  - a.test\n", "domains:\n  - a.test\n  - new.test\n"},
      {"domains:\n- a.test", "domains:\n- a.test\n- new.test"},
      {"domains:\n    - a.test  # first\n\nech: deny\n",
       "domains:\n    - a.test  # first\n    - new.test\n\nech: deny\n"},
      {"# about\ndomains:   # list\n  # - off.test\n  - \"a.test\"\n  # - later.test\n# next\nech: deny # why\n",
       "# about\ndomains:   # list\n  # - off.test\n  - \"a.test\"\n  # - later.test\n  - new.test\n# next\nech: deny "
       "# why\n"},
      {"domains:\n  - host: a.test\n    rules:\n      - methods: [GET]\n        path: {prefix: /a/}\n\n  # b\n  - "
       "b.test\n",
       "domains:\n  - host: a.test\n    rules:\n      - methods: [GET]\n        path: {prefix: /a/}\n\n  # b\n  - "
       "b.test\n"
       "  - new.test\n"},
      {"domains:\n  -\n    host: a.test\n    txt: true\nmode: enforce\n",
       "domains:\n  -\n    host: a.test\n    txt: true\n  - new.test\nmode: enforce\n"},
      {"domains:\n  - {host: a.test,\n     ports: [81]}\n",
       "domains:\n  - {host: a.test,\n     ports: [81]}\n  - new.test\n"},
      {"domains: &names\n  # of them\n  - a.test\n", "domains: &names\n  # of them\n  - a.test\n  - new.test\n"},
  });
}

TEST(PolicyEdit, AddsToListsInBrackets) {
  expect_all({
      {"domains: [a.test]\n", "domains: [a.test, new.test]\n"},
      {"domains: []  # none\n", "domains: [new.test]  # none\n"},
      {"domains: [a.test, ]\n", "domains: [a.test, new.test, ]\n"},
      {"domains: [\"a.test\", '*.b.test'] # ']\n", "domains: [\"a.test\", '*.b.test', new.test] # ']\n"},
      {"domains: [\n  a.test,  # one ]\n  b.test  # two\n]\n",
       "domains: [\n  a.test,  # one ]\n  b.test,  # two\n  new.test\n]\n"},
      {"domains: [\n    a.test,\n]\n", "domains: [\n    a.test,\n    new.test,\n]\n"},
      {"{domains: [a.test], ech: deny}\n", "{domains: [a.test, new.test], ech: deny}\n"},
      {"{ech: deny}", "{ech: deny, domains: [new.test]}"},
      {"{}", "{domains: [new.test]}"},
      {"domains: ~  # none\n", "domains: [new.test]  # none\n"},
      {"domains: null\nech: deny\n", "domains: [new.test]\nech: deny\n"},
  });
}

TEST(PolicyEdit, AddsAListThatTheFileDoesNotHave) {
  expect_all({
      {"", "domains:\n  - new.test\n"},
      {"# nothing yet\n", "# nothing yet\ndomains:\n  - new.test\n"},
      {"---\n", "---\ndomains:\n  - new.test\n"},
      {"ech: deny\n...\n", "ech: deny\ndomains:\n  - new.test\n...\n"},
      {"ech: deny\n# end\n\n\n", "ech: deny\n# end\ndomains:\n  - new.test\n\n\n"},
      {"domains:\n# - a.test\nech: deny\n", "domains:\n  - new.test\n# - a.test\nech: deny\n"},
      {"services:\n- npm\n", "services:\n- npm\ndomains:\n- new.test\n"},
      {"services:\n    - npm\n\n# hosts\nech: deny\n",
       "services:\n    - npm\n\n# hosts\nech: deny\n\ndomains:\n    - new.test\n"},
      {"domains: [a.test]", "domains: [a.test]\nendpoints:\n  - {host: b.test, port: 5432}",
       "{host: b.test, port: 5432}", "endpoints"},
      {"domains: [a.test]\n", "domains: [a.test]\ndeny:\n  - x.a.test\n", "x.a.test", "deny"},
      {"domains: [a.test]\n", "domains: [a.test]\naddresses:\n  - 198.18.0.0/15\n", "198.18.0.0/15", "addresses"},
  });
}

TEST(PolicyEdit, KeepsLineEndsAndTheByteOrderMark) {
  expect_all({
      {"\xef\xbb\xbf"
       "domains:\r\n  - a.test # x\r\n\r\nech: deny\r\n",
       "\xef\xbb\xbf"
       "domains:\r\n  - a.test # x\r\n  - new.test\r\n\r\nech: deny\r\n"},
      {"domains: [a.test]\r\n", "domains: [a.test, new.test]\r\n"},
  });
}

TEST(PolicyEdit, LeavesOutWhatTheListHasAlready) {
  const std::string text = "domains: [a.test]  # as it was\n";
  EXPECT_EQ(edited(text, {{.list = "domains", .item = "a.test"}}), text);
  EXPECT_EQ(edited(text, {{.list = "domains", .item = "b.test"}, {.list = "domains", .item = "b.test"}}),
            "domains: [a.test, b.test]  # as it was\n");
}

TEST(PolicyEdit, AddsSeveralEntriesWithTheirRemarks) {
  EXPECT_EQ(edited("domains:\n  - a.test\n", {{.list = "domains", .item = "b.test", .remark = "3 times"},
                                              {.list = "services", .item = "{name: gemini, optional: [telemetry]}"},
                                              {.list = "domains", .item = "\"*.c.test\""}}),
            "domains:\n  - a.test\n  - b.test  # 3 times\n  - \"*.c.test\"\nservices:\n"
            "  - {name: gemini, optional: [telemetry]}\n");
}

// What is not one item, or reads as several in brackets, is an error and no change.
TEST(PolicyEdit, RefusesWhatIsNotOneItem) {
  EXPECT_THAT(error_of("domains: [a.test]\n", {{.list = "domains", .item = "b.test, c.test"}}),
              HasSubstr("Add this by hand: domains: [b.test, c.test]"));
  for (const char* item : {"b.test\n  - c.test", "", "~", "{host: b.test", "*b", "- b.test\n"}) {
    EXPECT_THAT(error_of("domains: [a.test]\n", {{.list = "domains", .item = item}}), HasSubstr("not an item of"))
        << item;
  }
  EXPECT_THAT(error_of("domains: [a.test]\n", {{.list = "domains", .item = "b.test", .remark = "x\nech: pass"}}),
              HasSubstr("not an item of"));
}

TEST(PolicyEdit, RefusesWhatDoesNotCompile) {
  EXPECT_THAT(error_of("domains:\n  - a.test\n", {{.list = "domains", .item = "\"*.com\""}}),
              HasSubstr("policy.yaml:3:5"));
  EXPECT_THAT(error_of("domains: [a.test]\n", {{.list = "domians", .item = "b.test"}}), HasSubstr("domians"));
  EXPECT_THAT(error_of("domains: [a.test\n", {{.list = "domains", .item = "b.test"}}), HasSubstr("policy.yaml:1:10"));
  EXPECT_THAT(error_of("- a.test\n", {{.list = "domains", .item = "b.test"}}), HasSubstr("cannot add to 'domains'"));
}

// An alias is the same list in two places: growing one would grow both.
TEST(PolicyEdit, RefusesALayoutThatWouldChangeOtherLines) {
  const std::string shared = "addresses: &ranges [10.0.0.0/8]\ndomains:\n  - {host: a.test, addresses: *ranges}\n";
  EXPECT_THAT(error_of(shared, {{.list = "addresses", .item = "10.1.0.0/16"}}),
              HasSubstr("without changing other lines"));
  EXPECT_THAT(edited(shared, {{.list = "domains", .item = "b.test"}}), HasSubstr("*ranges}\n  - b.test\n"));
}

}  // namespace
}  // namespace soleroute::policy::testing
