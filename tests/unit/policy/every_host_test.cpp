// T234: "*" is everything public but what else is said.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include "policy/effective.h"
#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(EveryHost, AllowsEveryPublicNameButThoseThatAreDenied) {
  const auto policy = compile("allow_all_public: true\ndomains: ['*']\ndeny: ['*.ads.test', paste.test]");
  for (const auto* host : {"a.test", "x.y.z.example", "com"}) {
    const auto decision = policy->decide(tls(std::string(host) + ".example"));
    EXPECT_TRUE(decision.allowed()) << host;
    EXPECT_EQ(decision.matched_host, "*");
    EXPECT_EQ(place_of(decision.rule), "policy.yaml:2");
  }
  EXPECT_EQ(reason(*policy, dns("x.ads.test")), "denied_by_policy");
  EXPECT_EQ(reason(*policy, tls("paste.test")), "denied_by_policy");
}

TEST(EveryHost, MeansNoNameOfThisNetwork) {
  const auto policy = compile("allow_all_public: true\ndomains: ['*']\nendpoints: [{host: '*', port: 22}]");
  for (const auto* host : {"db", "metadata.google.internal", "printer.local", "host.docker.internal", "x.onion",
                           "gateway.internal", "x.localhost"}) {
    EXPECT_FALSE(policy->decide(dns(host)).allowed()) << host;
    EXPECT_FALSE(policy->decide(http(host)).allowed()) << host;
    EXPECT_FALSE(policy->decide(connect(host, 22)).allowed()) << host;
  }
  EXPECT_TRUE(policy->decide(http("db.test")).allowed()) << "the control";
}

TEST(EveryHost, LeadsToNoPrivateAddress) {
  const auto policy = compile(
      "allow_all_public: true\naddresses: [10.0.0.0/8, 198.18.0.0/15]\n"
      "hosts: {b.test: 10.1.2.3}\ndomains: ['*', a.test]\nendpoints: [{host: '*', port: 22}]");
  const auto of_every = policy->decide(tls("b.test"));
  EXPECT_TRUE(of_every.allowed());
  EXPECT_THAT(of_every.static_addresses, IsEmpty()) << "hosts: allows nothing by itself";
  ASSERT_EQ(of_every.permitted_addresses.size(), 1U) << "placeholders stand for public addresses";
  EXPECT_EQ(of_every.permitted_addresses.front().to_string(), "198.18.0.0/15");
  EXPECT_EQ(policy->decide(tls("a.test")).permitted_addresses.size(), 2U) << "a listed name has those of the policy";
  EXPECT_EQ(policy->decide(dns("b.test")).permitted_addresses.size(), 1U);
  const std::vector<base::HostName> names{name("b.test")};
  auto facts = packet("10.1.2.3", 22);
  facts.resolved_names = names;
  EXPECT_EQ(reason(*policy, facts), "private_address");
  facts.original_destination->address = address("45.33.32.1");
  EXPECT_TRUE(policy->decide(facts).allowed());
  facts.resolved_names = {};
  EXPECT_EQ(reason(*policy, facts), "endpoint_not_allowed") << "an address without a name is not a host";
}

TEST(EveryHost, YieldsToEveryOtherEntry) {
  const auto policy = compile("allow_all_public: true\ndomains: ['*', {host: '*.a.test', rules: [{methods: [GET]}]}]");
  EXPECT_EQ(reason(*policy, http("x.a.test", "PUT")), "no_rule_matched");
  EXPECT_TRUE(policy->decide(http("b.test", "PUT")).allowed());
}

TEST(EveryHost, HasRulesAndPortsLikeAnyOther) {
  const auto policy = compile(
      "allow_all_public: true\ndomains:\n  - {host: '*', rules: [{methods: [GET, HEAD]}]}\n"
      "  - {host: '*', ports: [8443]}");
  EXPECT_TRUE(policy->decide(https("a.test", "GET")).allowed());
  EXPECT_EQ(reason(*policy, https("a.test", "PUT")), "no_rule_matched");
  EXPECT_EQ(policy->decide(tls("a.test")).treatment, Treatment::kInspect);
  EXPECT_TRUE(policy->decide(at(https("a.test", "PUT"), 8443)).allowed());
}

TEST(EveryHost, MeansEveryFileByItself) {
  EXPECT_FALSE(try_compile({"allow_all_public: true", "domains: ['*']"})) << "the line is in another file";
  EXPECT_TRUE(try_compile({"domains: [a.test]", "allow_all_public: true\ndomains: ['*']"}));
}

TEST(EveryHost, IsShownAndReadBack) {
  const auto policy = compile(
      "allow_all_public: true\ndomains: ['*']\nendpoints: [{host: '*', port: 22}]\n"
      "deny: [a.test, {host: '*', rules: [{methods: [PUT]}]}, 192.0.2.0/24]");
  EXPECT_THAT(policy->describe(), HasSubstr("*  every public host, http and https  (policy.yaml:2)"));
  EXPECT_THAT(effective_text(*policy), HasSubstr("* (every public host): everything, http and https\n"));
  EXPECT_THAT(effective_text(*policy), HasSubstr("deny a.test: everything\n"));
  const auto shown = effective_json(*policy);
  const auto again = try_compile({shown});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(effective_json(**again), shown);
  for (const auto& facts : {tls("a.test"), https("b.test", "PUT"), https("b.test", "GET"), packet("192.0.2.1", 22)}) {
    EXPECT_EQ((*again)->decide(facts).reason, policy->decide(facts).reason);
  }
}

TEST(EveryHost, NeedsNoWarningThatItCoversAResolver) {
  EXPECT_THAT(compile("allow_all_public: true\ndomains: ['*']")->warnings(), IsEmpty());
}

}  // namespace
}  // namespace soleroute::policy::testing
