// `deny:` against what allows: hosts, ports, addresses, services, layers.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include "policy/deny_table.h"
#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Deny, TakesAHostOutOfAWildcardInEveryPhase) {
  const auto policy = compile("domains: ['*.a.test']\nendpoints: [{host: '*.a.test', port: 22}]\ndeny: [b.a.test]");
  for (const auto& facts : {dns("b.a.test"), tls("b.a.test"), http("b.a.test"), https("b.a.test"), connect("b.a.test"),
                            connect("b.a.test", 22)}) {
    const auto decision = policy->decide(facts);
    EXPECT_EQ(decision.reason, Reason::kDeniedByPolicy) << to_string(facts.phase);
    EXPECT_EQ(decision.matched_host, "b.a.test");
    EXPECT_EQ(place_of(decision.rule), "policy.yaml:3");
    EXPECT_EQ(how_to_allow(*policy, facts, decision), "") << "no line to add would help";
  }
  for (const auto& facts : {dns("c.a.test"), tls("c.a.test"), http("x.b.a.test"), connect("c.a.test", 22)}) {
    EXPECT_TRUE(policy->decide(facts).allowed()) << "the control";
  }
}

TEST(Deny, BeatsALongerNameThatIsAllowed) {
  const auto policy = compile("domains: [x.b.a.test, {host: y.b.a.test, merge_mode: replace}]\ndeny: ['*.a.test']");
  EXPECT_EQ(reason(*policy, tls("x.b.a.test")), "denied_by_policy");
  EXPECT_EQ(reason(*policy, tls("y.b.a.test")), "denied_by_policy");
  EXPECT_EQ(reason(*policy, tls("a.test")), "denied_by_policy") << "a wildcard means the name itself too";
  EXPECT_EQ(reason(*policy, tls("a2.test")), "host_not_allowed");
}

TEST(Deny, NarrowsAService) {
  const auto policy = compile(
      "services: [github]\ndeny: [gist.github.com, {host: api.github.com, rules: [{methods: "
      "[POST], path: {prefix: /graphql}}]}]");
  EXPECT_EQ(reason(*policy, tls("gist.github.com")), "denied_by_policy");
  EXPECT_EQ(reason(*policy, https("api.github.com", "POST", "/graphql")), "denied_by_policy");
  EXPECT_TRUE(policy->decide(https("api.github.com", "GET", "/user")).allowed());
  EXPECT_EQ(policy->decide(tls("api.github.com")).treatment, Treatment::kInspect);
  EXPECT_TRUE(policy->decide(tls("api.github.com")).request_rules_pending);
  EXPECT_EQ(policy->decide(tls("github.com")).treatment, Treatment::kPassThrough) << "nothing in it is denied";
}

TEST(Deny, OfPortsLeavesTheOthers) {
  const auto policy = compile(
      "domains: [{host: a.test, ports: [443, 8443]}]\nendpoints: [{host: a.test, ports: [22, "
      "23]}]\ndeny: [{host: a.test, ports: [8443, 22]}]");
  EXPECT_TRUE(policy->decide(dns("a.test")).allowed());
  EXPECT_TRUE(policy->decide(tls("a.test")).allowed());
  EXPECT_EQ(reason(*policy, tls("a.test", 8443)), "denied_by_policy");
  EXPECT_EQ(reason(*policy, connect("a.test", 22)), "denied_by_policy");
  EXPECT_TRUE(policy->decide(connect("a.test", 23)).allowed());
}

TEST(Deny, OfAProtocolLeavesTheOther) {
  const std::vector<base::HostName> names{name("a.test")};
  const auto policy = compile(
      "endpoints: [{host: a.test, port: 5000}, {host: a.test, port: 5000, protocol: udp}]\n"
      "deny: [{host: a.test, port: 5000, protocol: udp}]");
  auto facts = packet("45.33.32.1", 5000, Transport::kUdp);
  facts.resolved_names = names;
  EXPECT_EQ(reason(*policy, facts), "denied_by_policy");
  facts.transport = Transport::kTcp;
  EXPECT_TRUE(policy->decide(facts).allowed());
}

TEST(Deny, OfARangeMeansEveryWayToIt) {
  const auto policy = compile(
      "endpoints: [{cidr: 45.33.32.0/24, port: 22}, {host: a.test, port: 22}]\n"
      "deny: [45.33.32.8/29, {cidr: 45.33.32.99, port: 23}]");
  EXPECT_EQ(reason(*policy, packet("45.33.32.9", 22)), "denied_by_policy");
  EXPECT_EQ(policy->decide(packet("45.33.32.9", 22)).matched_host, "45.33.32.8/29");
  EXPECT_EQ(reason(*policy, packet("::ffff:45.33.32.9", 22)), "denied_by_policy");
  EXPECT_EQ(reason(*policy, packet("64:ff9b::2d21:2009", 22)), "denied_by_policy") << "behind NAT64";
  EXPECT_TRUE(policy->decide(packet("45.33.32.16", 22)).allowed());
  EXPECT_TRUE(policy->decide(packet("45.33.32.99", 22)).allowed()) << "another port is denied";
  const std::vector<base::HostName> names{name("a.test")};
  auto named = packet("45.33.32.9", 22);
  named.resolved_names = names;
  EXPECT_EQ(reason(*policy, named), "denied_by_policy") << "the name is allowed, and its address is not";
  auto by_address = connect("a.test", 22);
  by_address.host.reset();
  by_address.original_destination = base::Endpoint{address("45.33.32.9"), 22};
  EXPECT_EQ(reason(*policy, by_address), "denied_by_policy");
}

TEST(Deny, OfARangeStopsAConnectionThatTheGatewayMakes) {
  const auto policy = compile("domains: [a.test]\ndeny: [45.33.32.0/24, {cidr: 45.33.33.0/24, ports: [80]}]");
  auto facts = tls("a.test");
  const auto before = policy->decide(facts);
  EXPECT_TRUE(before.allowed()) << "the name has other addresses";
  ASSERT_NE(before.denied_addresses, nullptr);
  const auto found = before.denied_addresses->find(address("45.33.32.9"), 443, Transport::kTcp);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->place, "policy.yaml:2");
  EXPECT_FALSE(before.denied_addresses->find(address("45.33.33.9"), 443, Transport::kTcp)) << "of port 80 alone";
  facts.dialled = address("45.33.32.9");
  const auto after = policy->decide(facts);
  EXPECT_EQ(after.reason, Reason::kDeniedByPolicy);
  EXPECT_EQ(reason_sentence(*policy, facts, after),
            "a.test resolves to 45.33.32.9, which the policy denies (policy.yaml:2).");
  facts.dialled = address("45.33.33.9");
  EXPECT_TRUE(policy->decide(facts).allowed());
}

TEST(Deny, OfSomeRequestsDeniesAnEndpointWhole) {
  const auto policy = compile(
      "endpoints: [{host: a.test, ports: [22, 8080]}, {cidr: 45.33.32.0/24, port: 22}]\n"
      "deny: [{host: a.test, rules: [{methods: [DELETE]}]}]");
  EXPECT_EQ(reason(*policy, connect("a.test", 8080)), "denied_by_policy");
  EXPECT_EQ(reason(*policy, at(http("a.test", "GET"), 8080)), "denied_by_policy") << "or it would depend on the phase";
  const std::vector<base::HostName> names{name("a.test")};
  auto facts = packet("45.33.32.9", 22);
  EXPECT_TRUE(policy->decide(facts).allowed()) << "no name is known for the address";
  facts.resolved_names = names;
  EXPECT_EQ(reason(*policy, facts), "denied_by_policy");
  EXPECT_THAT(policy->warnings(), Contains(HasSubstr("write 'ports: [80, 443]' there")));
  const auto narrow = compile(
      "endpoints: [{host: a.test, ports: [22, 8080]}]\n"
      "deny: [{host: a.test, ports: [80, 443], rules: [{methods: [DELETE]}]}]");
  EXPECT_TRUE(narrow->decide(connect("a.test", 8080)).allowed());
  EXPECT_THAT(narrow->warnings(), IsEmpty());
}

TEST(Deny, OfSomeRequestsLeavesAnotherNameOfTheAddress) {
  const auto policy = compile("endpoints: [{host: b.test, port: 22}]\ndeny: [a.test]");
  const std::vector<base::HostName> both{name("a.test"), name("b.test")};
  auto facts = packet("45.33.32.9", 22);
  facts.resolved_names = both;
  EXPECT_TRUE(policy->decide(facts).allowed());
  facts.resolved_names = std::span(both).first(1);
  EXPECT_EQ(reason(*policy, facts), "denied_by_policy");
}

TEST(Deny, IsTakenBackOnlyByReplaceOfThatEntry) {
  const std::string_view team = "deny: [a.test, '*.b.test', 192.0.2.0/24]";
  const std::string_view allows = "domains: [{host: a.test, merge_mode: replace}, x.b.test]";
  EXPECT_EQ(reason(*compile({team, allows}), tls("a.test")), "denied_by_policy");
  const auto other = compile({team, allows, "deny: [{host: '*.a.test', merge_mode: replace, rules: []}]"});
  EXPECT_EQ(reason(*other, tls("a.test")), "denied_by_policy") << "another entry";
  const auto back = compile({team, allows, "deny: [{host: a.test, merge_mode: replace, rules: []}]"});
  EXPECT_TRUE(back->decide(tls("a.test")).allowed());
  EXPECT_EQ(reason(*back, tls("x.b.test")), "denied_by_policy") << "the others stay";
  const auto narrower =
      compile({team, allows, "deny: [{host: a.test, merge_mode: replace, rules: [{methods: [PUT]}]}]"});
  EXPECT_EQ(reason(*narrower, http("a.test", "PUT")), "denied_by_policy");
  EXPECT_TRUE(narrower->decide(http("a.test", "GET")).allowed());
  const auto again = compile({team, "deny: [{host: a.test, merge_mode: replace, rules: []}]", allows, team});
  EXPECT_EQ(reason(*again, tls("a.test")), "denied_by_policy") << "a later layer denies it again";
}

TEST(Deny, AccumulatesAndNamesTheNearestEntry) {
  const auto policy = compile({"domains: ['*.a.test']\ndeny: ['*.a.test']", "deny: [b.a.test]"});
  EXPECT_EQ(policy->decide(tls("b.a.test")).matched_host, "b.a.test");
  EXPECT_EQ(policy->decide(tls("b.a.test")).rule.file, "layer1.yaml");
  EXPECT_EQ(policy->decide(tls("c.a.test")).matched_host, "*.a.test");
}

TEST(Deny, OfEveryHostIsAboutRequestsOfAll) {
  const auto policy = compile("domains: [a.test, '*.b.test']\ndeny: [{host: '*', rules: [{methods: [DELETE]}]}]");
  for (const auto* host : {"a.test", "x.b.test"}) {
    EXPECT_EQ(reason(*policy, https(host, "DELETE")), "denied_by_policy");
    EXPECT_TRUE(policy->decide(https(host, "GET")).allowed());
    EXPECT_EQ(policy->decide(tls(host)).treatment, Treatment::kInspect);
  }
}

TEST(Deny, LeavesTheReasonOfNamesThatDisagree) {
  const auto policy = compile("domains: [a.test]\ndeny: [b.test]");
  auto facts = https("b.test");
  facts.sni = name("a.test");
  EXPECT_EQ(reason(*policy, facts), "name_mismatch");
  facts = dns("a.test");
  facts.sni = name("b.test");
  EXPECT_FALSE(policy->decide(facts).allowed());
}

TEST(Deny, IsShownWithItsPlace) {
  const auto policy = compile(
      "domains: [a.test]\ndeny:\n  - b.test\n  - '*.ads.test'\n  - {host: a.test, ports: [8443], "
      "rules: [{methods: [PUT]}]}\n  - {cidr: 192.0.2.0/24, port: 53, protocol: udp}\n  - '*.zip'");
  const auto text = policy->describe();
  EXPECT_THAT(text, HasSubstr("deny b.test: everything  (policy.yaml:3)\n"));
  EXPECT_THAT(text, HasSubstr("deny ads.test and its subdomains: everything  (policy.yaml:4)\n"));
  EXPECT_THAT(text, HasSubstr("deny a.test: http and https, PUT, on port 8443  (policy.yaml:5)\n"));
  EXPECT_THAT(text, HasSubstr("deny 192.0.2.0/24: udp port 53  (policy.yaml:6)\n"));
}

TEST(Deny, SaysWhichEntryInItsSentence) {
  const auto policy = compile("domains: ['*.a.test']\ndeny: [{host: b.a.test, rules: [{methods: [PUT]}]}]");
  const auto facts = http("b.a.test", "PUT");
  EXPECT_EQ(reason_sentence(*policy, facts, policy->decide(facts)),
            "The policy denies this request to b.a.test (policy.yaml:2).");
}

}  // namespace
}  // namespace soleroute::policy::testing
