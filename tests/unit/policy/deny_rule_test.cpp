// T231: which requests a rule that denies matches: every one that a server could take for what it denies.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

struct Row {
  std::string_view method;
  std::string_view target;
  bool allowed;
  std::string_view why;
};

void expect_rows(std::string_view rule, std::initializer_list<Row> rows) {
  const auto policy = compile("domains: [a.test]\ndeny: [{host: a.test, rules: [" + std::string(rule) + "]}]");
  for (const Row& row : rows) {
    for (const auto& facts : {http("a.test", row.method, row.target), https("a.test", row.method, row.target)}) {
      const auto decision = policy->decide(facts);
      EXPECT_EQ(decision.allowed(), row.allowed) << row.method << " " << row.target << ": " << row.why;
      if (!row.allowed) {
        EXPECT_EQ(decision.reason, Reason::kDeniedByPolicy) << row.target;
      }
    }
  }
}

TEST(DenyRule, OfMethodsMatchesThemInAnyCase) {
  expect_rows("{methods: [DELETE, POST]}", {{"DELETE", "/", false, "listed"},
                                            {"delete", "/", false, "servers may take it for DELETE"},
                                            {"Post", "/", false, "likewise"},
                                            {"GET", "/", true, "not listed"},
                                            {"DELETED", "/", true, "another method"}});
}

TEST(DenyRule, OfAPrefixMatchesEverySpellingOfIt) {
  expect_rows("{path: {prefix: /admin/}}", {{"GET", "/admin/", false, "the folder"},
                                            {"GET", "/admin/x?q=1", false, "below it"},
                                            {"GET", "/Admin/x", false, "servers that ignore case"},
                                            {"GET", "/%61dmin/x", false, "an escape"},
                                            {"GET", "/%2561dmin/x", false, "an escape of an escape"},
                                            {"GET", "/admin%2Fx", false, "an escaped slash"},
                                            {"GET", "//admin//x", false, "doubled slashes"},
                                            {"GET", "/admin;v=1/x", false, "path parameters"},
                                            {"GET", "/;v/admin/x", false, "path parameters of no segment"},
                                            {"GET", "/admin%20/x", false, "a blank that Windows cuts off"},
                                            {"GET", "/admin./x", false, "a dot that Windows cuts off"},
                                            {"GET",
                                             "/\xef\xbd\x81"
                                             "dmin/x",
                                             false, "a fullwidth letter"},
                                            {"GET", "/x/../admin/", false, "more than one reading"},
                                            {"GET", "/x\\..\\admin/", false, "more than one reading"},
                                            {"GET", "/x%00", false, "more than one reading"},
                                            {"GET", "*", false, "no path"},
                                            {"GET", "/x#/admin/", false, "a fragment is never sent"},
                                            {"GET", "/administrator", true, "another folder"},
                                            {"GET", "/x/admin/", true, "another folder"},
                                            {"GET", "/?p=/admin/", true, "in the query alone"},
                                            {"GET", "/", true, "the root"}});
}

TEST(DenyRule, OfAnExactPathMatchesItWithAndWithoutASlash) {
  expect_rows("{path: {exact: /v1/keys}}", {{"GET", "/v1/keys", false, "itself"},
                                            {"GET", "/v1/keys/", false, "with a slash"},
                                            {"GET", "/V1/Keys?x", false, "in another case, with a query"},
                                            {"GET", "/v1/keys%3fx", false, "an escaped question mark"},
                                            {"GET", "/v1/keys/1", true, "below it"},
                                            {"GET", "/v1/key", true, "another"}});
}

TEST(DenyRule, OfAQueryMatchesItAmongOtherParameters) {
  expect_rows("{query: {exact: {service: git-receive-pack}}}",
              {{"GET", "/?service=git-receive-pack", false, "itself"},
               {"GET", "/?x=1&service=git-receive-pack&y", false, "among others"},
               {"GET", "/?x=1;service=git-receive-pack", false, "behind a semicolon"},
               {"GET", "/?service=git%2Dreceive%2dpack", false, "escaped"},
               {"GET", "/?SERVICE=Git-Receive-Pack", false, "in another case"},
               {"GET", "/?service=git-upload-pack", true, "another value"},
               {"GET", "/?other=git-receive-pack", true, "another name"},
               {"GET", "/", true, "none"}});
}

// The target is read once for all rules: its length times their number would be a way to stop a worker.
TEST(DenyRule, OfManyMatchALongTargetAtTheCostOfOne) {
  std::string text = "domains: [a.test]\ndeny:\n  - host: a.test\n    rules:\n";
  for (int i = 0; i < 20'000; ++i) text += "      - {path: {prefix: /p" + std::to_string(i) + "/}}\n";
  const auto policy = compile(text);
  const std::string long_path = "/q" + std::string(60'000, 'x');
  EXPECT_TRUE(policy->decide(http("a.test", "GET", long_path)).allowed());
  EXPECT_FALSE(policy->decide(http("a.test", "GET", "/p19999/x")).allowed()) << "the control";
}

TEST(DenyRule, NeedsAllOfItsKeys) {
  expect_rows("{schemes: [http, https], methods: [POST], path: {prefix: /graphql}}",
              {{"POST", "/graphql", false, "both"},
               {"GET", "/graphql", true, "the path alone"},
               {"POST", "/rest", true, "the method alone"}});
}

TEST(DenyRule, MatchesWhereAHeaderMayNameWhatItDenies) {
  const auto policy = compile(
      "domains: [a.test]\ndeny: [{host: a.test, rules: [{methods: [DELETE]}]}, "
      "{host: a.test, rules: [{path: {exact: /x}}]}]");
  auto facts = http("a.test", "POST", "/y");
  EXPECT_TRUE(policy->decide(facts).allowed()) << "the control";
  facts.overrides.see("X-HTTP-Method-Override", "POST");
  EXPECT_EQ(reason(*policy, facts), "denied_by_policy");
  EXPECT_EQ(policy->decide(facts).override_header, facts.overrides.method);
  facts = http("a.test", "POST", "/y");
  facts.overrides.see("X-Original-URL", "POST");
  EXPECT_EQ(reason(*policy, facts), "denied_by_policy");
}

// Trailers come when the request is on its way: without such a field, or not at all.
TEST(DenyRule, IsToldToWhatReadsTheRestOfTheRequest) {
  const auto policy = compile(
      "domains: [a.test, b.test]\ndeny: [{host: a.test, rules: [{methods: [DELETE]}, {path: "
      "{prefix: /x}}]}]");
  const auto decision = policy->decide(https("a.test", "POST", "/y"));
  EXPECT_TRUE(decision.allowed() && decision.by_method && decision.by_path);
  const auto other = policy->decide(http("b.test", "POST", "/y"));
  EXPECT_TRUE(other.allowed() && !other.by_method && !other.by_path) << "the control";
}

TEST(DenyRule, OfASchemeLeavesTheOther) {
  const auto policy = compile("domains: [a.test]\ndeny: [{host: a.test, rules: [{schemes: [http]}]}]");
  EXPECT_EQ(reason(*policy, http("a.test")), "denied_by_policy");
  EXPECT_TRUE(policy->decide(tls("a.test")).allowed());
  EXPECT_EQ(policy->decide(tls("a.test")).treatment, Treatment::kPassThrough) << "nothing inside it is denied";
  const auto secure = compile("domains: [a.test]\ndeny: [{host: a.test, rules: [{scheme: https}]}]");
  EXPECT_EQ(reason(*secure, tls("a.test")), "denied_by_policy");
  EXPECT_TRUE(secure->decide(http("a.test")).allowed());
}

}  // namespace
}  // namespace soleroute::policy::testing
