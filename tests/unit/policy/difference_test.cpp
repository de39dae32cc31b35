// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "policy/host_pattern.h"
#include "tests/unit/policy/policy_generator.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> changes(const std::string& before, const std::string& after) {
  std::vector<std::string> out;
  for (const auto& change : difference(*compile(before), *compile(after))) {
    const char mark = change.effect == Effect::kOpens ? '+' : change.effect == Effect::kCloses ? '-' : '~';
    out.push_back(std::string(1, mark) + " " + change.subject + ": " + change.what + " " + std::to_string(change.line));
  }
  return out;
}

TEST(Difference, SaysNothingOfTheSameInOtherWords) {
  const std::string before =
      "domains: [a.test, {host: b.test, rules: [{method: GET, schemes: [https]}, {method: HEAD, schemes: [https]}]}]";
  const std::string after =
      "domains:\n  - {host: b.test, rules: [{schemes: [https], methods: [HEAD, GET]}]}\n  # a comment\n  - A.test\n";
  EXPECT_THAT(changes(before, after), IsEmpty());
}

TEST(Difference, NamesHostsThatAreAddedAndRemoved) {
  EXPECT_THAT(changes("domains: [a.test]", "domains:\n  - b.test\n"),
              ElementsAre("+ b.test: everything, http and https 2", "- a.test: everything, http and https 1"));
}

TEST(Difference, ComparesWildcardsAsSets) {
  EXPECT_THAT(changes("domains: [\"*.a.test\"]", "domains: [\"*.a.test\", b.a.test, a.test]"), IsEmpty());
  EXPECT_THAT(changes("domains: [b.a.test]", "domains: [\"*.a.test\"]"),
              ElementsAre("+ *.a.test: everything, http and https 1"));
  EXPECT_THAT(changes("domains: [\"*.a.test\"]", "domains: [\"*.a.test\", {host: a.test, rules: [{method: GET}]}]"),
              ElementsAre("- a.test: everything, http and https 1", "~ a.test: https is inspected now 1"));
}

TEST(Difference, SeesMethodsPathsAndQueries) {
  const std::string before =
      "domains: [{host: a.test, rules: [{schemes: [https], method: GET, path: {prefix: /v1/}}]}]";
  EXPECT_THAT(
      changes(before, "domains: [{host: a.test, rules: [{schemes: [https], method: GET, path: {prefix: /v1/a/}}]}]")
          .size(),
      1u);
  EXPECT_THAT(
      changes(before, "domains: [{host: a.test, rules: [{schemes: [https], method: GET, path: {prefix: /v1}}]}]"),
      ElementsAre("+ a.test: https only, GET, paths beginning with /v1 1"));
  EXPECT_THAT(changes(before,
                      "domains: [{host: a.test, rules: [{schemes: [https], method: GET, path: {prefix: /v1/}, query: "
                      "{exact: {}}}]}]")
                  .size(),
              1u);
}

TEST(Difference, SeesPortsEndpointsAddressesAndSecrets) {
  EXPECT_THAT(changes("", "endpoints: [{host: a.test, ports: [22, 5000-5010]}]"),
              ElementsAre("+ a.test: tcp port 22, 5000-5010 1"));
  EXPECT_THAT(changes("endpoints: [{cidr: 192.0.2.0/24, port: 22}]", "endpoints: [{cidr: 192.0.2.0/25, port: 22}]"),
              ElementsAre("- 192.0.2.0/24: tcp port 22 1"));
  EXPECT_THAT(changes("domains: [a.test]", "domains: [{host: a.test, addresses: [10.0.0.0/8]}]"),
              ElementsAre("+ a.test: may have addresses in 10.0.0.0/8 1"));
  EXPECT_THAT(changes("domains: [a.test]", "domains: [a.test]\naddresses: [10.0.0.0/8]"),
              ElementsAre("+ the whole policy: every allowed name may have addresses in 10.0.0.0/8 0"));
  const std::string secret =
      "domains: [{host: a.test, rules: [{schemes: [https], transform: {request: {headers: {X-Key: {secret: s, "
      "transform: {type: raw}}}}}}]}]";
  EXPECT_THAT(changes("domains: [{host: a.test, tls: inspect, rules: [{schemes: [https]}]}]", secret),
              ElementsAre("+ a.test: sends X-Key: <secret s> 1"));
  EXPECT_THAT(changes("mode: enforce", "mode: observe").size(), 1u);
}

TEST(Difference, SeesWhatDenyTakesAndGivesBack) {
  EXPECT_THAT(changes("domains: [\"*.a.test\"]", "domains: [\"*.a.test\"]\ndeny: [b.a.test]"),
              ElementsAre("- b.a.test: now denied by policy.yaml:2 2"));
  EXPECT_THAT(changes("domains: [\"*.a.test\"]\ndeny: [\"*.b.a.test\"]", "domains: [\"*.a.test\"]\ndeny: [b.a.test]"),
              ElementsAre("+ *.b.a.test: no longer denied by policy.yaml:2 2"));
  EXPECT_THAT(changes("domains: [a.test]\ndeny: [c.test]", "domains: [a.test]"), IsEmpty());
}

TEST(Difference, SeesUdpEndpointsOfNamesWhateverRangesSay) {
  const std::string udp = "{host: b.test, port: 5000, protocol: udp}";
  for (const std::string same : {"deny: [203.0.0.0/8]", "deny: [0.0.0.0/0]"}) {
    EXPECT_THAT(changes(same, same + "\nendpoints: [" + udp + "]"), ElementsAre("+ b.test: udp port 5000 2")) << same;
  }
  const std::string range = "{cidr: 0.0.0.0/0, port: 5000, protocol: udp}";
  EXPECT_THAT(changes("endpoints: [" + range + "]", "endpoints: [" + range + ", " + udp + "]"),
              ElementsAre("+ b.test: udp port 5000 1"));
}

TEST(Difference, CountsTheEndOfInspectionAsOpening) {
  EXPECT_THAT(changes("domains: [{host: a.test, tls: inspect}]", "domains: [a.test]"),
              ElementsAre("+ a.test: https is not inspected any more 1"));
  EXPECT_THAT(changes("domains: [a.test]", "domains: [{host: a.test, tls: inspect}]"),
              ElementsAre("~ a.test: https is inspected now 1"));
}

TEST(Difference, SeesAnExactAddressInsideARangeThatIsListed) {
  EXPECT_THAT(changes("endpoints: [{cidr: 10.0.0.0/8, port: 22}]",
                      "endpoints: [{cidr: 10.0.0.0/8, port: 22}, {cidr: 10.0.0.1/32, port: 22}]"),
              ElementsAre("+ 10.0.0.1/32: tcp port 22 1"))
      << "it may be the gateway's own";
  EXPECT_THAT(changes("domains: [{host: a.test, addresses: [10.0.0.0/8]}]",
                      "domains: [{host: a.test, addresses: [10.0.0.0/8, 10.0.0.1]}]"),
              ElementsAre("+ a.test: may have addresses in 10.0.0.1/32 1"));
  EXPECT_THAT(changes("domains: [{host: a.test, addresses: [10.0.0.0/8]}]",
                      "domains: [{host: a.test, addresses: [10.0.0.0/8, 10.0.0.0/24]}]"),
              IsEmpty());
}

TEST(Difference, SaysNothingOfAHostWithManyRulesThatStays) {
  std::string text = "domains: [{host: a.test, rules: [";
  for (int i = 0; i < 200; ++i) {
    const auto n = std::to_string(i);
    text += "{method: GET, path: {prefix: /p" + n + "/}, query: {exact: {q: '" + n + "'}}}, ";
  }
  text += "]}]";
  EXPECT_THAT(changes(text, text), IsEmpty());
}

TEST(Difference, ComparesEachAgentsPolicy) {
  const std::string common = "domains: [a.test]\n";
  const std::string agent = "agents:\n  - {name: reviewer, addresses: [10.1.2.3], domains: [b.test]}\n";
  const auto of_agents = [](const std::string& before, const std::string& after) {
    std::vector<std::string> out;
    for (const auto& change : difference(*compile(before), *compile(after))) {
      out.push_back((change.effect == Effect::kOpens ? "+ " : "- ") + change.agent + " " + change.subject);
    }
    return out;
  };
  EXPECT_THAT(of_agents(common + agent, common + agent), IsEmpty());
  EXPECT_THAT(of_agents(common, common + agent),
              ElementsAre("-  a.test for IPv6 clients that are no agent", "+ reviewer b.test", "- reviewer a.test"));
  EXPECT_THAT(of_agents(common + agent, common + agent + "agents_only: true\n"), ElementsAre("-  a.test"));
  EXPECT_THAT(
      of_agents(common + agent,
                "domains: [a.test]\nagents:\n  - {name: reviewer, addresses: [10.1.2.3], domains: [b.test, c.test]}\n"),
      ElementsAre("+ reviewer c.test"));
}

// Whatever a generated request shows, the comparison has said.
TEST(Difference, AgreesWithTheDecisionsOnGeneratedRequests) {
  int opened = 0;
  int closed = 0;
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    Generator any(seed);
    const std::string before = any.policy();
    const std::string after = any.policy();
    const auto old = compile(before);
    const auto now = compile(after);
    const auto said = difference(*old, *now);
    for (int i = 0; i < 60; ++i) {
      std::vector<base::HostName> names;
      const auto facts = any_flow(any, names);
      const bool last = facts.phase == Phase::kPacket || (facts.phase == Phase::kHttp && facts.port != 0);
      if (!last) continue;
      const bool was = old->decide(facts).allowed();
      const bool is = now->decide(facts).allowed();
      if (was == is) continue;
      ++(is ? opened : closed);
      const auto names_it = [&](const Change& change) {
        if (change.effect != (is ? Effect::kOpens : Effect::kCloses)) return false;
        if (change.subject == "the whole policy") return true;
        const auto range = base::Cidr::parse(change.subject);
        if (range) return facts.original_destination && range->contains(facts.original_destination->address);
        if (facts.host) return covers(change.subject, facts.host->text());
        return std::ranges::any_of(names, [&](const auto& name) { return covers(change.subject, name.text()); });
      };
      ASSERT_TRUE(std::ranges::any_of(said, names_it))
          << before << "---\n"
          << after << (is ? "opens " : "closes ") << (facts.host ? facts.host->text() : "");
    }
  }
  EXPECT_GT(opened, 30);
  EXPECT_GT(closed, 30);
}

// And what it says opens, some request shows: two policies that are the same open nothing.
TEST(Difference, IsEmptyForAPolicyAndItself) {
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    Generator any(seed);
    const auto policy = compile(any.policy());
    EXPECT_THAT(difference(*policy, *policy), IsEmpty());
  }
}

}  // namespace
}  // namespace soleroute::policy::testing
