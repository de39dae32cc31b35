// Which non-public addresses a name may have: those of its entry, its service, its endpoints and the whole policy.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

#include "policy/address_class.h"
#include "policy/effective.h"
#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

bool leads_to(const Policy& policy, const FlowFacts& facts, std::string_view where) {
  const auto decision = policy.decide(facts);
  return decision.allowed() && may_dial(address(where), decision.permitted_addresses);
}

FlowFacts database(std::string_view where, const std::vector<base::HostName>& names) {
  FlowFacts facts;
  facts.phase = Phase::kPacket;
  facts.original_destination = base::Endpoint{address(where), 5432};
  facts.port = 5432;
  facts.resolved_names = names;
  return facts;
}

const std::vector<base::HostName> kDatabase{name("db.test")};
const std::vector<base::HostName> kNone;

constexpr std::string_view kPolicy = R"(
addresses: [198.18.0.0/15]
services: [{name: pypi, addresses: [10.7.0.0/16]}]
domains: [plain.test, "*.wild.test", {host: own.test, addresses: [10.1.0.0/16]}]
endpoints: [{host: db.test, port: 5432, addresses: [10.2.0.0/16]}, {cidr: 10.3.0.0/16, port: 5432}]
)";

TEST(Addresses, OfTheWholePolicyAreForEveryListedName) {
  const auto policy = compile(kPolicy);
  for (const auto* host : {"plain.test", "a.wild.test", "own.test", "pypi.org"}) {
    for (const auto& facts : {dns(host), tls(host), http(host), connect(host)}) {
      EXPECT_TRUE(leads_to(*policy, facts, "198.18.3.4")) << host;
      EXPECT_FALSE(leads_to(*policy, facts, "192.168.0.1")) << host;
    }
  }
  EXPECT_TRUE(leads_to(*policy, dns("db.test"), "198.18.3.4"));
  EXPECT_TRUE(policy->decide(database("198.18.3.4", kDatabase)).allowed());
  EXPECT_FALSE(policy->decide(dns("other.test")).allowed()) << "addresses list no name";
}

TEST(Addresses, OfAnEntryOrAServiceAreForItsNamesAlone) {
  const auto policy = compile(kPolicy);
  EXPECT_TRUE(leads_to(*policy, tls("own.test"), "10.1.2.3"));
  EXPECT_FALSE(leads_to(*policy, tls("plain.test"), "10.1.2.3"));
  EXPECT_TRUE(leads_to(*policy, tls("files.pythonhosted.org"), "10.7.2.3"));
  EXPECT_FALSE(leads_to(*policy, tls("own.test"), "10.7.2.3"));
  EXPECT_FALSE(policy->decide(database("10.1.2.3", kDatabase)).allowed());
  EXPECT_TRUE(policy->decide(database("10.2.2.3", kDatabase)).allowed());
}

// An endpoint by address is about its own range, whatever names may resolve to.
TEST(Addresses, OfTheWholePolicyOpenNoEndpoint) {
  const auto policy = compile(kPolicy);
  EXPECT_FALSE(policy->decide(database("198.18.3.4", kNone)).allowed());
  EXPECT_TRUE(policy->decide(database("10.3.3.4", kNone)).allowed());
}

TEST(Addresses, AddUpOverLayersAndGoWithTheirService) {
  const auto policy = compile({"addresses: [10.0.0.0/16]\ndomains: [a.test]", "addresses: [10.1.0.0/16, 10.0.0.0/16]"});
  EXPECT_TRUE(leads_to(*policy, tls("a.test"), "10.0.0.1"));
  EXPECT_TRUE(leads_to(*policy, tls("a.test"), "10.1.0.1"));
  EXPECT_EQ(policy->decide(tls("a.test")).permitted_addresses.size(), 2U) << "each once";
  const auto replaced =
      compile({"services: [{name: pypi, addresses: [10.7.0.0/16]}]", "services: [{name: pypi, merge_mode: replace}]"});
  EXPECT_FALSE(leads_to(*replaced, tls("pypi.org"), "10.7.0.1"));
  EXPECT_TRUE(leads_to(*replaced, tls("pypi.org"), "1.1.1.1"));
}

TEST(Addresses, AreShownOnceAndReadBackTheSame) {
  const auto policy = compile(kPolicy);
  const auto shown = effective_json(*policy);
  EXPECT_THAT(shown, HasSubstr("\"addresses\": [\n    \"198.18.0.0/15\"\n  ]"));
  const auto again = try_compile({shown});
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(effective_json(**again), shown);
  for (const auto* host : {"plain.test", "own.test", "pypi.org", "db.test"}) {
    for (const auto* where : {"198.18.3.4", "10.1.2.3", "10.7.2.3", "10.2.2.3", "192.168.1.1"}) {
      EXPECT_EQ(leads_to(*policy, dns(host), where), leads_to(**again, dns(host), where)) << host << " " << where;
    }
  }
  EXPECT_THAT(effective_text(*policy), HasSubstr("any of these names may have: 198.18.0.0/15"));
  EXPECT_THAT(policy->describe(), HasSubstr("addresses 198.18.0.0/15: any listed name may resolve to it"));
}

// The networks of denied names stay away from them.
TEST(Addresses, OfTheWholePolicyAreNetworksThatThePolicyKnows) {
  const auto ranges = compile("addresses: [198.18.0.0/15]\n")->listed_ranges();
  EXPECT_THAT(ranges, ElementsAre(*base::Cidr::parse("198.18.0.0/15")));
}

TEST(Addresses, AreAtMost64ForTheWholePolicy) {
  std::string text = "addresses:\n";
  for (int i = 0; i < 64; ++i) text += "  - 10." + std::to_string(i) + ".0.0/16\n";
  EXPECT_TRUE(try_compile({text}));
  EXPECT_FALSE(try_compile({text + "  - 10.64.0.0/16\n"}));
}

TEST(StaticHosts, HaveAtMost16Addresses) {
  std::string list = "10.0.0.1";
  for (int i = 2; i <= 16; ++i) list += ", 10.0.0." + std::to_string(i);
  EXPECT_TRUE(try_compile({"hosts: {a.test: [" + list + "]}"}));
  EXPECT_FALSE(try_compile({"hosts: {a.test: [" + list + ", 10.0.0.17]}"}));
}

// Within the address rules: for their name alone, and none of the machine itself.
TEST(StaticHosts, AreListedForTheirNameAlone) {
  const auto policy = compile(
      "hosts: {a.test: [10.1.2.3, 127.0.0.1, 169.254.169.254], b.wild.test: 10.1.2.4, c.test: 10.1.2.5, db.test: "
      "10.1.2.6}\ndomains: [a.test, \"*.wild.test\"]\nendpoints: [{host: db.test, port: 5432}]\n");
  const auto lists = [&](const FlowFacts& facts, std::string_view where) {
    const auto decision = policy->decide(facts);
    return decision.allowed() && may_dial_static(address(where), decision.static_addresses);
  };
  for (const auto& facts : {dns("a.test"), tls("a.test"), http("a.test"), connect("a.test")}) {
    EXPECT_TRUE(lists(facts, "10.1.2.3"));
    for (const auto* where : {"10.1.2.4", "127.0.0.1", "169.254.169.254"}) EXPECT_FALSE(lists(facts, where)) << where;
  }
  EXPECT_TRUE(lists(tls("b.wild.test"), "10.1.2.4"));
  EXPECT_FALSE(lists(tls("x.wild.test"), "10.1.2.4")) << "another name of the same entry";
  EXPECT_FALSE(policy->decide(dns("c.test")).allowed()) << "a name in hosts: is not allowed by it";
  EXPECT_TRUE(policy->decide(database("10.1.2.6", kDatabase)).allowed());
  EXPECT_FALSE(policy->decide(database("10.1.2.7", kDatabase)).allowed());
}

TEST(StaticHosts, OfTheLastLayerApplyAndAreReadBackTheSame) {
  const auto policy = compile(
      {"hosts: {a.test: 10.1.2.3, b.test: 10.1.2.4}\ndomains: [a.test, b.test]", "hosts: {A.test: [10.1.2.9]}"});
  EXPECT_THAT(policy->static_addresses(name("a.test")), ElementsAre(address("10.1.2.9")));
  EXPECT_THAT(policy->static_addresses(name("b.test")), ElementsAre(address("10.1.2.4")));
  const auto shown = effective_json(*policy);
  const auto again = try_compile({shown});
  ASSERT_TRUE(again.has_value()) << again.error().message << shown;
  EXPECT_EQ(effective_json(**again), shown);
  EXPECT_THAT((*again)->static_addresses(name("a.test")), ElementsAre(address("10.1.2.9")));
  EXPECT_THAT(effective_json(*compile("hosts: {secret.test: 10.1.2.3}")), Not(HasSubstr("secret")))
      << "what is not allowed is not shown";
}

TEST(Addresses, OfTheMachineItselfAreWarnedOf) {
  for (const auto* range : {"0.0.0.0/0", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "\"::/0\"", "\"::1\"",
                            "\"fe80::/10\"", "\"fd00::/8\"", "168.63.129.16"}) {
    const auto policy = compile("addresses: [" + std::string(range) + "]\ndomains: [a.test]\n");
    EXPECT_THAT(policy->warnings(), ElementsAre(HasSubstr("loopback, link-local or metadata"))) << range;
  }
  for (const auto* range : {"198.18.0.0/15", "10.0.0.0/8", "\"fc00::/18\"", "100.64.0.0/16", "\"64:ff9b:1::/48\""}) {
    const auto policy = compile("addresses: [" + std::string(range) + "]\ndomains: [a.test]\n");
    EXPECT_THAT(policy->warnings(), IsEmpty()) << range;
  }
}

Decision refused(const Policy& policy, const FlowFacts& facts, std::string_view where) {
  auto decision = policy.decide(facts);
  decision.action = Action::kDeny;
  decision.reason = Reason::kPrivateAddress;
  decision.refused_address = address(where);
  return decision;
}

TEST(Placeholders, AreNamedWithTheOneLineForTheWholePolicy) {
  const auto policy = compile("domains: [a.test]\nendpoints: [{host: db.test, port: 5432}]\n");
  struct Row {
    const char* where;
    const char* line;
  };
  for (const Row& row :
       {Row{"198.18.0.5", "addresses:\n  - 198.18.0.0/15\n"}, Row{"198.19.255.1", "addresses:\n  - 198.18.0.0/15\n"},
        Row{"fc00::5", "addresses:\n  - \"fc00::/18\"\n"},
        Row{"fdfe:dcba:9876::7", "addresses:\n  - \"fdfe:dcba:9876::/64\"\n"}}) {
    for (const auto& facts : {dns("a.test"), tls("a.test"), http("a.test"), dns("db.test")}) {
      const auto decision = refused(*policy, facts, row.where);
      EXPECT_EQ(how_to_allow(*policy, facts, decision), row.line);
      EXPECT_THAT(reason_sentence(*policy, facts, decision), HasSubstr(kPlaceholderResolver));
      const auto with = compile({"domains: [a.test]\nendpoints: [{host: db.test, port: 5432}]\n", row.line});
      EXPECT_TRUE(leads_to(*with, facts, row.where)) << "the line helps";
    }
  }
}

TEST(Placeholders, AreNoOtherPrivateAddresses) {
  const auto policy = compile("domains: [a.test]\n");
  for (const auto* where : {"10.0.0.1", "198.17.0.1", "100.64.0.1", "fc00:4000::1", "fdfe:dcba:9877::1"}) {
    EXPECT_FALSE(placeholder_range(address(where))) << where;
    const auto decision = refused(*policy, tls("a.test"), where);
    EXPECT_THAT(reason_sentence(*policy, tls("a.test"), decision), Not(HasSubstr("placeholder"))) << where;
  }
  for (const auto* where : {"127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "100.100.100.200"}) {
    const auto decision = refused(*policy, tls("a.test"), where);
    EXPECT_EQ(how_to_allow(*policy, tls("a.test"), decision), "") << where;
  }
}

// A name that no line allows gets its own line first.
TEST(Placeholders, DoNotComeBeforeTheName) {
  const auto policy = compile("domains: [a.test]\n");
  auto decision = policy->decide(tls("b.test"));
  decision.refused_address = address("198.18.0.5");
  EXPECT_EQ(how_to_allow(*policy, tls("b.test"), decision), "domains:\n  - b.test\n");
}

}  // namespace
}  // namespace soleroute::policy::testing
