// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/policy/case_table.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using namespace std::string_literals;

TEST(PolicyErrors, FollowTheTable) {
  const auto cases = read_cases();
  ASSERT_GT(cases.size(), 100u);
  for (const auto& row : cases) {
    const auto policy = try_compile({row.text});
    if (row.good) {
      EXPECT_TRUE(policy) << row.name << ": " << (policy ? "" : policy.error().message);
      continue;
    }
    ASSERT_FALSE(row.expect.empty()) << row.name;
    ASSERT_FALSE(policy) << row.name << " was taken";
    EXPECT_TRUE(policy.error().message.starts_with("policy.yaml:" + row.expect))
        << row.name << "\n  expected " << row.expect << "\n  got " << policy.error().message;
    EXPECT_EQ(policy.error().kind, base::ErrorKind::kUsage) << row.name;
  }
}

TEST(PolicyErrors, ShowTheLineACaretAndTheLikelySpelling) {
  const auto policy = try_compile({"services: [claude]\ndomains:\n  - hots: a.test\n"});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().message,
            "policy.yaml:3:5: unknown key 'hots', did you mean 'host'?\n"
            "    3 |   - hots: a.test\n"
            "            ^");
}

TEST(PolicyErrors, PlaceTheCaretUnderWideAndLongLines) {
  const auto wide = try_compile({"domains: [bücher.example, \"*\"]\n"});
  ASSERT_FALSE(wide);
  EXPECT_TRUE(
      wide.error().message.ends_with("    1 | domains: [bücher.example, \"*\"]\n"
                                     "                                  ^"))
      << wide.error().message;
  const auto far = try_compile({"domains: [" + std::string(300, ' ') + "\"*\"]\n"});
  ASSERT_FALSE(far);
  EXPECT_LT(far.error().message.size(), 500u);
}

TEST(PolicyErrors, NameTheLayer) {
  const auto policy = try_compile({"domains: [a.test]", "domains: [b.test]\nmode: x\n"});
  ASSERT_FALSE(policy);
  EXPECT_TRUE(policy.error().message.starts_with("layer1.yaml:2:7: ")) << policy.error().message;
}

TEST(PolicyErrors, SendNothingToTheTerminalThatTheFileHides) {
  const std::vector<PolicySource> sources{{"a\n\x1b[2J.yaml", "domains: [\"\xe2\x80\xae\", x\xc2\x9b]\n"}};
  const auto policy = Policy::compile(sources);
  ASSERT_FALSE(policy);
  const auto& message = policy.error().message;
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_EQ(message.find("\xe2\x80\xae"), std::string::npos);
  EXPECT_TRUE(message.starts_with("a\\u{000a}\\u{001b}[2J.yaml:1:")) << message;
}

TEST(PolicyText, TakesWindowsLineEndsAndAByteOrderMark) {
  const auto policy =
      compile({"\xef\xbb\xbf"
               "domains:\r\n  - a.test\r\n  - b.test\r\n"s});
  EXPECT_EQ(policy->decide(tls("b.test")).rule.line, 3);
}

TEST(PolicyText, RefusesWhatIsNotText) {
  struct Row {
    std::string text;
    std::string_view expect, why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"domains: [a.test]\n\0"s, "policy.yaml:2:1: a NUL byte", "NUL"},
           {"\xff\xfe"
            "d\0o\0"s,
            "policy.yaml: UTF-16 text", "UTF-16, little endian"},
           {"\xfe\xff\0d\0o"s, "policy.yaml: UTF-16 text", "UTF-16, big endian"},
           {"d\0o\0m\0"s, "policy.yaml:1:2: a NUL byte", "UTF-16 without a mark"},
           {"domains: [\xc0\xae]", "policy.yaml:1:11: not UTF-8", "overlong"},
           {"domains: [\xed\xa0\x80]", "policy.yaml:1:11: not UTF-8", "a surrogate"},
           {"domains: [b\xfc"
            "cher.test]",
            "policy.yaml:1:12: not UTF-8", "Latin-1"},
           {"domains: [a.test] \x1b[2J", "policy.yaml:1:19: a control character", "an escape sequence"},
           {"domains:\n\t- a.test\n", "policy.yaml:2:1: tab in the indentation", "a tab"},
           {"domains:\n  - host: a.test\n \t  tls: inspect\n", "policy.yaml:3:2: tab", "a tab after a space"},
       }) {
    const auto policy = try_compile({row.text});
    ASSERT_FALSE(policy) << row.why;
    EXPECT_TRUE(policy.error().message.starts_with(row.expect)) << row.why << ": " << policy.error().message;
  }
  EXPECT_TRUE(try_compile({"domains: [a.test]\t# a tab in front of a comment\n\t\n"})) << "harmless tabs";
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(PolicyText, RefusesBombsQuickly) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    const std::string earlier(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [" + repeated("*" + earlier + ",", 9) + "]\n";
  }
  struct Row {
    std::string text;
    std::string_view expect, why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {bomb, "policy.yaml:5:8: aliases expand to too much", "nine levels of nine aliases"},
           {"a: &a [*a]", "policy.yaml:1:8: an alias that refers to itself", "self-reference"},
           {"a: &a {b: *a}", "policy.yaml:1:11: an alias that refers to itself", "self-reference"},
           {repeated("[", 100'000), "policy.yaml:1:65: nested too deeply", "brackets"},
           {repeated("{a: ", 100'000), "policy.yaml:1:257: nested too deeply", "braces"},
           {repeated("- ", 100'000), "policy.yaml:1:33: nested too deeply", "lists in a line"},
           {repeated("? ", 100'000), "policy.yaml:1:33: nested too deeply", "keys in a line"},
           {"a: &a [[[[[[[[[[x]]]]]]]]]]\nb: [[[[[[[[[[*a]]]]]]]]]]", "policy.yaml:2:14: nested too deeply",
            "depth through an alias"},
           {"domains: [" + std::string(10'000'000, 'x') + "]", "policy.yaml: too large", "a 10 MB scalar"},
           {"domains: [" + std::string(5000, 'x') + "]", "policy.yaml:1:11: a value of more than 4096 bytes",
            "a scalar"},
           {"domains: [" + repeated("x,", 1'000'000) + "]", "policy.yaml: too large", "a million items in a line"},
           {"domains:\n" + repeated("- x\n", 1'000'000), "policy.yaml: too large", "a million items"},
           {"domains: [" + repeated(",", 300'000) + "]", "policy.yaml:1:250010: too many values",
            "nothing, 300,000 times"},
           {repeated("# a comment\n", 100'000), "policy.yaml: too large", "comments beyond 1 MiB"},
           {repeated("&a x,", 100), "policy.yaml:1:", "anchors in a row"},
       }) {
    const auto begin = std::chrono::steady_clock::now();
    const auto policy = try_compile({row.text});
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_FALSE(policy) << row.why;
    EXPECT_TRUE(policy.error().message.starts_with(row.expect)) << row.why << ": " << policy.error().message;
    EXPECT_LT(took, std::chrono::seconds(10)) << row.why << ": a bound that sanitizers and busy machines keep too";
  }
}

TEST(PolicyText, TakesOneMebibyteBesidesNames) {
  const std::string names = "domains:\n" + [] {
    std::string out;
    for (int i = 0; i < 60'000; ++i) out += "  - host" + std::to_string(i) + ".example.test\n";
    return out;
  }();
  ASSERT_GT(names.size(), std::size_t{1} << 20);
  const auto policy = try_compile({names});
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ((*policy)->host_count(), 60'000u);
  EXPECT_EQ((*policy)->decide(tls("host59999.example.test")).rule.line, 60'001);
  EXPECT_FALSE(try_compile({names + std::string((std::size_t{1} << 20) + 1, '#')}));
}

TEST(PolicyNames, AreEqualInEverySpelling) {
  const auto policy = compile(
      "domains: [b\xc3\xbc"
      "cher.test, \"*.xn--mnchen-3ya.test\", ALLOWED.Test., nfd-u\xcc\x88.test]");
  for (const auto host : {"xn--bcher-kva.test", "a.xn--mnchen-3ya.test", "allowed.test", "xn--nfd--3ra.test"}) {
    EXPECT_TRUE(policy->decide(tls(host)).allowed()) << host << "\n" << policy->describe();
  }
  const auto twice = compile("domains: [m\xc3\xbcnchen.test, xn--mnchen-3ya.test, M\x55nchen.test]");
  EXPECT_EQ(twice->host_count(), 2u) << twice->describe();
  EXPECT_NE(twice->describe().find("xn--mnchen-3ya.test"), std::string::npos) << "shown in the form that is compared";
}

}  // namespace
}  // namespace soleroute::policy::testing
