// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

TEST(Layers, AddToOneAnother) {
  const auto policy = compile({"domains: [a.test]\nendpoints: [{cidr: 192.0.2.1, port: 22}]",
                               "domains: [b.test]\nendpoints: [{cidr: 192.0.2.2, port: 22}]"});
  EXPECT_TRUE(policy->decide(tls("a.test")).allowed());
  EXPECT_TRUE(policy->decide(tls("b.test")).allowed());
  EXPECT_EQ(policy->decide(tls("b.test")).rule.file, "layer1.yaml");
  EXPECT_EQ(policy->endpoints().size(), 2u);
  EXPECT_EQ(policy->host_count(), 2u);
}

TEST(Layers, MergeTheRulesOfOneHost) {
  const auto policy = compile({"domains: [{host: a.test, rules: [{methods: [GET]}]}]",
                               "domains: [{host: A.test, rules: [{methods: [PUT]}], addresses: [10.0.0.0/8]}]"});
  EXPECT_TRUE(policy->decide(http("a.test", "GET")).allowed());
  EXPECT_EQ(policy->decide(http("a.test", "PUT")).rule.file, "layer1.yaml");
  EXPECT_FALSE(policy->decide(http("a.test", "POST")).allowed());
  EXPECT_EQ(policy->decide(http("a.test", "GET")).permitted_addresses.size(), 1u);
  EXPECT_EQ(policy->host_count(), 1u);
}

TEST(Layers, AHostWithoutRulesAdmitsEverythingWhateverOtherLayersSay) {
  const auto policy = compile({"domains: [{host: a.test, rules: [{methods: [GET]}]}]", "domains: [a.test]"});
  EXPECT_TRUE(policy->decide(http("a.test", "POST")).allowed());
  EXPECT_TRUE(policy->decide(tls("a.test")).allowed());
}

TEST(Layers, ReplaceDiscardsTheEarlierRecord) {
  const auto policy = compile({"domains: [{host: a.test, addresses: [10.0.0.0/8], tls: inspect}, b.test]",
                               "domains: [{host: a.test, merge_mode: replace, rules: [{schemes: [https]}]}]"});
  EXPECT_TRUE(policy->decide(tls("a.test")).allowed());
  EXPECT_EQ(reason(*policy, http("a.test")), "scheme_not_permitted");
  EXPECT_TRUE(policy->decide(tls("a.test")).permitted_addresses.empty());
  EXPECT_TRUE(policy->decide(tls("b.test")).allowed()) << "other hosts are left alone";
}

TEST(Layers, ReplaceOfAServiceDiscardsWhatThatServiceGave) {
  const auto policy = compile({"services: [github, claude]\ndomains: [{host: github.com, rules: [{schemes: [http]}]}]",
                               "services: [{name: github, merge_mode: replace, readonly: true}]"});
  EXPECT_FALSE(policy->decide(http("api.github.com", "POST")).allowed());
  EXPECT_TRUE(policy->decide(http("api.github.com", "GET")).allowed());
  EXPECT_TRUE(policy->decide(http("github.com", "POST")).allowed()) << "what domains gave stays";
  EXPECT_TRUE(policy->decide(tls("api.anthropic.com")).allowed()) << "other services stay";
}

TEST(Layers, DomainsComeAfterTheServicesOfTheirLayer) {
  const auto policy =
      compile("domains: [{host: github.com, merge_mode: replace, rules: [{schemes: [http]}]}]\nservices: [github]\n");
  EXPECT_EQ(reason(*policy, tls("github.com")), "https_not_permitted");
}

TEST(Layers, TheLastModeAndTheLastTlsHold) {
  const auto policy = compile({"mode: observe\ndomains: [{host: a.test, tls: inspect}]",
                               "mode: enforce\ndomains: [{host: a.test, tls: passthrough}]", "domains: [b.test]"});
  EXPECT_EQ(policy->mode(), Mode::kEnforce);
  EXPECT_TRUE(policy->decide(tls("a.test")).allowed());
}

TEST(Layers, RefusePassthroughOverRulesThatNeedInspection) {
  const auto policy =
      try_compile({"domains: [{host: a.test, rules: [{methods: [GET]}]}]",
                   "domains:\n  - host: a.test\n    tls: passthrough\n    rules: [{path: {exact: /}}]\n"});
  ASSERT_FALSE(policy);
  EXPECT_TRUE(policy.error().message.starts_with("layer1.yaml:3:10: 'tls: passthrough' of a.test contradicts"))
      << policy.error().message;
}

}  // namespace
}  // namespace soleroute::policy::testing
