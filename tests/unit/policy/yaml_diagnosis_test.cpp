// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/yaml_diagnosis.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

struct Row {
  std::string text;
  std::string expect;  // where, and the first words
};

void expect_all(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    const auto policy = try_compile({row.text});
    ASSERT_FALSE(policy) << row.text;
    EXPECT_TRUE(policy.error().message.starts_with("policy.yaml:" + row.expect))
        << row.text << "\n  expected " << row.expect << "\n  got " << policy.error().message;
  }
}

TEST(BrokenYaml, NamesTheBracketThatNothingCloses) {
  expect_all({
      {"domains: [a.test\n", "1:10: missing ']' for the list that begins at line 1\n"},
      {"mode: observe\ndomains: [a.test,\n  b.test\nech: deny\n",
       "2:10: missing ']' for the list that begins at line 2\n"},
      {"domains:\n  - {host: a.test, tls: inspect\n  - b.test\n",
       "2:5: missing '}' for the mapping that begins at line 2\n"},
      {"domains: [{host: a.test]\n",
       "1:24: ']' cannot close the '{' of line 1: missing '}' for the mapping that begins at line 1\n"},
      {"domains: [a.test}\n", "1:17: '}' cannot close the '[' of line 1: missing ']'"},
      {"domains: [a.test]]\n", "1:18: ']' without a '[' before it\n"},
      {"domains:\n  - ]\n", "2:5: ']' without a '[' before it\n"},
      {"domains: [\"[\", a.test # [\n", "1:10: missing ']' for the list that begins at line 1\n"},
  });
}

TEST(BrokenYaml, NamesTheQuoteThatNothingCloses) {
  expect_all({
      {"domains: [\"a.test]\n", "1:11: missing \" for the text that begins at line 1\n"},
      {"domains:\n  - 'a.test\n  - b.test\n", "2:5: missing ' for the text that begins at line 2\n"},
      {"domains:\n  - \"*.a.test\n  - \"b.test\"\n", "2:5: missing \" for the text that begins at line 2\n"},
      {"mode: \"observe\n", "1:7: missing \" for the text that begins at line 1\n"},
      {"mode: 'it''s\n", "1:7: missing ' for the text that begins at line 1\n"},
      {"mode: \"observe\\\"\n", "1:7: missing \" for the text that begins at line 1\n"},
  });
}

TEST(BrokenYaml, AsksForQuotesWhereASignIsReserved) {
  expect_all({
      {"domains:\n  - *.a.test\n", "2:5: text that begins with '*' must be quoted: \"*.a.test\"\n"},
      {"domains: [a.test, *.a.test]\n", "1:19: text that begins with '*' must be quoted: \"*.a.test\"\n"},
      {"domains:\n  - *\n", "2:5: text that begins with '*' must be quoted: \"*\"\n"},
      {"domains:\n  - &\n", "2:5: text that begins with '&' must be quoted: \"&\"\n"},
      {"domains:\n  - @scope/x\n", "2:5: text that begins with '@' must be quoted: \"@scope/x\"\n"},
      {"domains: [%a]\n", "1:11: text that begins with '%' must be quoted: \"%a\"\n"},
      {"domains:\n  - `a`\n", "2:5: text that begins with '`' must be quoted: \"`a`\"\n"},
      {"domains:\n  - | a\n", "2:7: text that begins with '|' or '>' must be quoted\n"},
      {"domains:\n  - host: a: b\n", "2:11: text with ': ' in it must be quoted\n"},
      {"domains: [\"a\\.test\"]\n", "1:15: '\\.' is unknown between double quotes; use single quotes\n"},
      {"domains:\n  - {host: a.test, path: {exact: /a[b}}\n", "2:36: text with '[' in it must be quoted here\n"},
  });
}

TEST(BrokenYaml, NamesTheKeyWithoutABlankOrAColon) {
  expect_all({
      {"mode:observe\ndomains: [a.test]\n", "1:1: missing blank after 'mode:'\n"},
      {"domains:\n  - host:a.test\n    tls: inspect\n", "2:5: missing blank after 'host:'\n"},
      {"domains:\n  - host: a.test\n    tls:inspect\n",
       "3:5: unknown key 'tls:inspect'; a blank is missing after 'tls:'\n"},
      {"mode:observe\n", "1:1: a policy must be a mapping, not text; a blank is missing after 'mode:'\n"},
      {"domains\n  - a.test\n", "1:1: a policy must be a mapping, not text; ':' is missing after 'domains'\n"},
      {"mode: observe\ndomains\n  - a.test\n", "2:1: unknown key 'domains - a.test'; ':' is missing after 'domains'\n"},
      {"domains\n  - host: a.test\n", "1:1: missing ':' after 'domains'\n"},
      {"domains:\n  - a.test\n  -b.test\n", "3:3: missing blank after '-'\n"},
      {"domains:\n- a.test\n-b.test\n", "3:1: unknown key '-b.test'; a blank is missing after '-'\n"},
      {"domains: - a.test\n", "1:10: a list item ('- …') must begin on the next line\n"},
      {"domains: [{host: a.test tls: inspect}]\n", "1:25: missing ',' before 'tls'\n"},
      {"domains: [a.test], mode: observe\n", "1:18: unexpected ', mode: observe' after the end of a value\n"},
  });
}

TEST(BrokenYaml, NamesTheColumnsOfAWrongIndentation) {
  expect_all({
      {"domains:\n  - host: a.test\n   tls: inspect\n",
       "3:4: wrong indentation: this line begins in column 4, the lines above in column 1, 3 or 5\n"},
      {"domains:\n   - a.test\n  - b.test\n", "3:3: wrong indentation: this line begins in column 3, "},
      {"domains:\n  - host: a.test\n     tls: inspect\n", "3:6: wrong indentation: this line begins in column 6, "},
      {"domains:\n  - a.test\n mode: observe\n", "3:2: wrong indentation: this line begins in column 2, "},
      {"mode: observe\n  domains: [a.test]\n",
       "2:3: wrong indentation: this line begins in column 3, the lines above in column 1\n"},
      {"  domains:\n    - a.test\nmode: observe\n", "3:1: wrong indentation: this line begins in column 1, "},
      {"domains:\n  - a.test\n   - b.test\n", "2:5: 'a.test - b.test' "},
      {"domains:\n\t- a.test\n", "2:1: tab in the indentation; use spaces\n"},
  });
}

TEST(BrokenYaml, TellsListItemsFromKeys) {
  expect_all({
      {"mode: observe\n- a.test\n", "2:1: a list item ('- …') among keys; put it under a key such as 'domains:'\n"},
      {"- a.test\nmode: observe\n", "2:1: a key among list items; put the list under a key such as 'domains:'\n"},
      {"mode: observe\n---\nmode: enforce\n", "2:1: a second document; a policy is one document\n"},
  });
}

TEST(BrokenYaml, IsNeverWorseThanTheParser) {
  const SourceText source("a", "a: 1\n");
  EXPECT_EQ(diagnose_yaml(source, {1, 2}, "something new").what, "not valid YAML: something new");
  for (const int line : {0, 1, 2, 99}) {
    for (const auto* message : {"end of map not found", "end of sequence flow not found", "illegal map value",
                                "unknown token", "illegal flow end", "the referenced anchor is not defined"}) {
      EXPECT_FALSE(diagnose_yaml(source, {line, 7}, message).what.empty()) << message << " in line " << line;
    }
  }
}

TEST(UnbrokenYaml, StaysValid) {
  for (const auto* text :
       {"domains: ['a.test', \"b.test\"]\n", "domains: [\"a.test\"]", "domains:\n  - 'a.test'\n  # it's \"fine\n",
        "domains:\n  - \"a.test\"   # don't\n", "services: []\n", "---\nmode: observe\n"}) {
    EXPECT_TRUE(try_compile({text})) << text;
  }
}

TEST(Faults, AreAllFoundInOneReading) {
  PolicyFaults faults;
  const std::vector<PolicySource> layers{{"a.yaml",
                                          "mod: observe\ndomains:\n  - host: '*.com'\n    tls: on\n  - b_.test/x\n  - "
                                          "good.test\nendpoints:\n  - {host: a.test, port: 0}\n"},
                                         {"b.yaml", "domains: [\n"},
                                         {"c.yaml", "services: [nothing-like-it, github]\n"}};
  ASSERT_FALSE(Policy::compile(layers, &faults));
  std::vector<std::string> places;
  for (const auto& fault : faults.first) places.push_back(fault.file + ":" + std::to_string(fault.line));
  EXPECT_EQ(places, (std::vector<std::string>{"a.yaml:1", "a.yaml:3", "a.yaml:4", "a.yaml:5", "a.yaml:8", "b.yaml:1",
                                              "c.yaml:1"}));
  EXPECT_EQ(faults.count, faults.first.size());
  const auto plain = Policy::compile(layers);
  ASSERT_FALSE(plain) << "without a list, the first is the error";
  EXPECT_TRUE(plain.error().message.starts_with("a.yaml:1:1: ")) << plain.error().message;
}

TEST(Faults, AreCountedBeyondTwenty) {
  std::string text = "domains:\n";
  for (int i = 0; i < 5000; ++i) text += "  - '*'\n";
  PolicyFaults faults;
  ASSERT_FALSE(Policy::compile(std::vector<PolicySource>{{"a.yaml", text}}, &faults));
  EXPECT_EQ(faults.first.size(), kMaxFaults);
  EXPECT_EQ(faults.count, 5000u);
}

TEST(Faults, OfRulesThatContradictTlsAreAllFound) {
  PolicyFaults faults;
  const std::string entry = "  - {host: HOST, tls: passthrough, rules: [{methods: [GET], schemes: [https]}]}\n";
  const std::string text = "domains:\n" + std::string(entry).replace(entry.find("HOST"), 4, "a.test") +
                           std::string(entry).replace(entry.find("HOST"), 4, "b.test");
  ASSERT_FALSE(Policy::compile(std::vector<PolicySource>{{"a.yaml", text}}, &faults));
  EXPECT_EQ(faults.count, 2u);
  PolicyFaults none;
  EXPECT_TRUE(Policy::compile(std::vector<PolicySource>{{"a.yaml", "domains: [a.test]\n"}}, &none)) << "the control";
  EXPECT_EQ(none.count, 0u);
}

}  // namespace
}  // namespace soleroute::policy::testing
