// Ports in policies: ranges, endpoints below a suffix and on the web's ports, hosts on other ports.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using base::PortRange;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Row {
  FlowFacts facts;
  Reason reason;
  std::string why;
};

void expect_reasons(const Policy& policy, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const auto decision = policy.decide(row.facts);
    EXPECT_EQ(to_string(decision.reason), to_string(row.reason)) << row.why;
  }
}

FlowFacts resolved(std::string_view to, std::uint16_t port, const std::vector<base::HostName>& names) {
  auto facts = packet(to, port, Transport::kTcp);
  facts.resolved_names = names;
  return facts;
}

TEST(Ports, RangesAreSortedAndJoinedWhereTheyOverlap) {
  EXPECT_THAT(base::normalised({{9000, 9000}, {8050, 8200}, {8000, 8100}}),
              ElementsAre(PortRange{8000, 8200}, PortRange{9000, 9000}));
  const base::PortRanges ranges{{80, 80}, {8000, 8100}};
  for (const std::uint16_t inside : {80, 8000, 8050, 8100}) EXPECT_TRUE(base::contains(ranges, inside)) << inside;
  for (const std::uint16_t outside : {1, 79, 81, 7999, 8101, 65535}) {
    EXPECT_FALSE(base::contains(ranges, outside)) << outside;
  }
}

TEST(Ports, AnEndpointHasEveryPortOfItsRanges) {
  const auto policy = compile("endpoints: [{host: db.test, ports: [8000-8100, 9000]}]\n");
  expect_reasons(*policy, {{connect("db.test", 8000), Reason::kEndpointAllowed, "the first"},
                           {connect("db.test", 8100), Reason::kEndpointAllowed, "the last"},
                           {connect("db.test", 9000), Reason::kEndpointAllowed, "a single one"},
                           {connect("db.test", 8101), Reason::kEndpointNotAllowed, "behind the range"},
                           {connect("db.test", 7999), Reason::kEndpointNotAllowed, "before it"}});
}

TEST(Ports, TooManyRangesAreRefused) {
  std::string ports;
  for (int i = 0; i < 65; ++i) ports += std::to_string(1000 + 10 * i) + "-" + std::to_string(1005 + 10 * i) + ", ";
  const auto policy = try_compile({"endpoints: [{host: db.test, ports: [" + ports + "9]}]\n"});
  ASSERT_FALSE(policy);
  EXPECT_THAT(policy.error().message, HasSubstr("more than 64 ranges"));
}

TEST(Ports, AWildcardEndpointIsTheNameAndThoseBelow) {
  const auto policy = compile(R"(endpoints:
  - {host: "*.db.test", port: 5432, addresses: [10.0.0.0/8]}
  - {host: one.db.test, port: 22}
)");
  const std::vector below{name("a.b.db.test")};
  const std::vector beside{name("adb.test")};
  expect_reasons(*policy,
                 {{connect("db.test", 5432), Reason::kEndpointAllowed, "the name itself"},
                  {connect("x.db.test", 5432), Reason::kEndpointAllowed, "a name below"},
                  {connect("one.db.test", 5432), Reason::kEndpointAllowed, "endpoints add up"},
                  {connect("one.db.test", 22), Reason::kEndpointAllowed, "its own"},
                  {connect("x.db.test", 22), Reason::kEndpointNotAllowed, "another name's"},
                  {connect("adb.test", 5432), Reason::kHostNotAllowed, "not below"},
                  {dns("x.db.test"), Reason::kEndpointAllowed, "its names are resolved"},
                  {resolved("10.0.0.9", 5432, below), Reason::kEndpointAllowed, "at an address that it lists"},
                  {resolved("127.0.0.1", 5432, below), Reason::kPrivateAddress, "at one that it does not"},
                  {resolved("10.0.0.9", 5432, beside), Reason::kEndpointNotAllowed, "another name's address"}});
  const auto decision = policy->decide(resolved("10.0.0.9", 5432, below));
  ASSERT_NE(decision.endpoint_name, nullptr);
  EXPECT_EQ(decision.endpoint_name->text(), "a.b.db.test");
  EXPECT_EQ(policy->decide(dns("one.db.test")).permitted_addresses.size(), 1U) << "those of the wildcard are its too";
}

TEST(Ports, AHostBelowAWildcardEndpointKeepsItsOwnAddresses) {
  const auto policy = compile(R"(domains: [{host: web.db.test, addresses: [192.168.1.0/24]}]
endpoints: [{host: "*.db.test", port: 5432, addresses: [10.0.0.0/8]}]
)");
  const auto listed = policy->decide(dns("web.db.test")).permitted_addresses;
  EXPECT_EQ(std::vector(listed.begin(), listed.end()).size(), 2U);
  EXPECT_EQ(policy->decide(dns("x.db.test")).permitted_addresses.size(), 1U);
  EXPECT_TRUE(policy->decide(tls("web.db.test")).allowed());
  EXPECT_FALSE(policy->decide(tls("x.db.test")).allowed());
}

TEST(Ports, AnEndpointOnAWebPortIsForWhatTheHostsEntryDoesNotDecide) {
  const auto policy = compile(R"(domains:
  - {host: both.test, rules: [{methods: [GET]}]}
endpoints:
  - {host: ssh.test, port: 443, protocol: tcp}
  - {host: both.test, ports: [80, 443], protocol: tcp}
)");
  auto opaque = connect("both.test", 443);
  opaque.opaque = true;
  const std::vector names{name("ssh.test")};
  expect_reasons(*policy, {{tls("ssh.test"), Reason::kEndpointAllowed, "TLS that names it"},
                           {connect("ssh.test"), Reason::kEndpointAllowed, "CONNECT"},
                           {http("ssh.test"), Reason::kHostNotAllowed, "another port"},
                           {resolved("45.33.32.10", 443, names), Reason::kEndpointAllowed, "SSH to its address"},
                           {resolved("45.33.32.10", 443, {}), Reason::kEndpointNotAllowed, "an address of nobody's"},
                           {https("both.test", "POST"), Reason::kNoRuleMatched, "requests go by the entry's rules"},
                           {http("both.test", "POST"), Reason::kNoRuleMatched, "in clear too"},
                           {opaque, Reason::kEndpointAllowed, "neither HTTP nor TLS"}});
  EXPECT_EQ(policy->decide(tls("both.test")).treatment, Treatment::kInspect);
  EXPECT_EQ(policy->warnings().size(), 2U) << "of both, an address may have other names";
}

TEST(Ports, AHostOnOtherPortsGoesByItsRulesThere) {
  const auto policy = compile(R"(domains:
  - {host: api.test, ports: [443, 8443], rules: [{methods: [GET]}]}
  - {host: open.test, ports: [3000]}
  - both.test
  - {host: both.test, ports: [8443], rules: [{schemes: [https], methods: [GET]}]}
)");
  expect_reasons(
      *policy, {{at(https("api.test"), 8443), Reason::kRequestRuleMatched, "by the rule"},
                {at(https("api.test", "POST"), 8443), Reason::kNoRuleMatched, "and no more than that"},
                {at(http("api.test"), 8443), Reason::kRequestRuleMatched, "either scheme"},
                {https("api.test"), Reason::kRequestRuleMatched, "443 is listed"},
                {http("api.test"), Reason::kSchemeNotPermitted, "80 is not"},
                {at(https("api.test"), 8444), Reason::kEndpointNotAllowed, "nor another"},
                {tls("open.test", 3000), Reason::kRequestRuleMatched, "TLS"},
                {at(http("open.test", "PUT"), 3000), Reason::kRequestRuleMatched, "HTTP"},
                {connect("open.test", 3000), Reason::kRequestRuleMatched, "a tunnel for either"},
                {tls("open.test"), Reason::kEndpointNotAllowed, "443 is not listed"},
                {http("open.test"), Reason::kEndpointNotAllowed, "nor 80"},
                {https("both.test", "PUT"), Reason::kAllowed, "open where the first entry is"},
                {at(https("both.test", "PUT"), 8443), Reason::kNoRuleMatched, "which does not widen the second's port"},
                {at(http("both.test"), 8443), Reason::kSchemeNotPermitted, "https alone there"}});
  EXPECT_EQ(policy->decide(tls("api.test", 8443)).treatment, Treatment::kInspect);
  EXPECT_EQ(policy->decide(tls("open.test", 3000)).treatment, Treatment::kPassThrough);
  EXPECT_EQ(policy->decide(tls("both.test")).treatment, Treatment::kPassThrough);
  EXPECT_EQ(policy->decide(tls("both.test", 8443)).treatment, Treatment::kInspect);
  EXPECT_THAT(policy->domain_ports(), ElementsAre(PortRange{3000, 3000}, PortRange{8443, 8443}));
}

TEST(Ports, ADeniedPortOfAListedHostIsSuggestedUnderDomains) {
  const auto policy = compile("domains: [open.test, {host: api.test, rules: [{methods: [GET]}]}]\n");
  const auto lines = [&](const FlowFacts& facts) { return how_to_allow(*policy, facts, policy->decide(facts)); };
  EXPECT_EQ(lines(tls("open.test", 8443)), "domains:\n  - {host: open.test, ports: [8443]}\n");
  EXPECT_EQ(lines(at(http("api.test", "GET", "/x"), 3000)),
            "domains:\n  - {host: api.test, ports: [3000], rules: [{schemes: [http], methods: [GET], path: {exact: "
            "\"/x\"}}]}\n");
  EXPECT_EQ(lines(connect("open.test", 5432)), "endpoints:\n  - {host: open.test, port: 5432}\n");
}

TEST(Ports, AlpnAddsUpAndIsForHttpsThatPasses) {
  const auto policy =
      compile("domains: [{host: a.test, alpn: [mqtt]}, {host: a.test, alpn: [x-amzn-mqtt-ca]}, b.test]\n");
  EXPECT_THAT(policy->decide(tls("a.test")).admitted_alpn, ElementsAre("mqtt", "x-amzn-mqtt-ca"));
  EXPECT_THAT(policy->decide(tls("b.test")).admitted_alpn, IsEmpty());
  EXPECT_THAT(policy->describe(), HasSubstr("TLS for mqtt x-amzn-mqtt-ca too"));
}

}  // namespace
}  // namespace soleroute::policy::testing
