// A policy for each agent: which one decides for which client.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/agent_table.h"
#include "policy/effective.h"
#include "policy/policy_document.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kTwoAgents = R"(domains: [common.test]
agents:
  - name: reviewer
    addresses: [10.0.0.20, "2001:db8::20"]
    domains: [review.test]
  - name: coder
    addresses: [10.0.0.30, 10.0.1.0/24, "2001:db8:0:1::/64"]
    inherit: true
    mode: observe
    domains: [code.test]
)";

FlowFacts from(std::string_view client, std::string_view host) {
  auto facts = https(host);
  facts.client = base::IpAddress::parse(client).value();
  return facts;
}

bool allows(const Policy& policy, std::string_view client, std::string_view host) {
  return policy.decide(from(client, host)).allowed();
}

std::string compile_error(std::string_view text) {
  const auto policy = try_compile({text});
  return policy ? "" : policy.error().message;
}

std::string_view agent_at(const Policy& policy, std::string_view client) {
  return policy.for_client(base::IpAddress::parse(client).value()).agent_name();
}

TEST(Agents, EachIsDecidedByItsOwnPolicy) {
  const auto policy = compile(kTwoAgents);
  EXPECT_TRUE(allows(*policy, "10.0.0.20", "review.test"));
  EXPECT_FALSE(allows(*policy, "10.0.0.20", "code.test")) << "of the other agent";
  EXPECT_FALSE(allows(*policy, "10.0.0.20", "common.test")) << "it does not inherit";
  EXPECT_TRUE(allows(*policy, "10.0.1.7", "code.test"));
  EXPECT_TRUE(allows(*policy, "10.0.1.7", "common.test")) << "it inherits";
  EXPECT_FALSE(allows(*policy, "10.0.1.7", "review.test"));
  EXPECT_TRUE(allows(*policy, "10.0.0.99", "common.test")) << "no agent: the common policy";
  EXPECT_FALSE(allows(*policy, "10.0.0.99", "review.test"));
}

TEST(Agents, AreFoundInBothFamiliesAndAsMappedAddresses) {
  const auto policy = compile(kTwoAgents);
  EXPECT_EQ(agent_at(*policy, "2001:db8::20"), "reviewer");
  EXPECT_EQ(agent_at(*policy, "2001:db8:0:1:ffff::1"), "coder");
  EXPECT_EQ(agent_at(*policy, "::ffff:10.0.0.20"), "reviewer");
  EXPECT_EQ(agent_at(*policy, "2001:db8::21"), "");
}

TEST(Agents, ALinkLocalAddressIsNoWayToTheCommonPolicy) {
  const auto policy = compile(kTwoAgents);
  EXPECT_FALSE(allows(*policy, "fe80::1", "common.test"));
  EXPECT_TRUE(allows(*policy, "2001:db8::99", "common.test")) << "a client that is no agent, by an address of its own";
  EXPECT_TRUE(allows(*compile("domains: [common.test]"), "fe80::1", "common.test")) << "no agents are listed";
}

TEST(Agents, AnAgentWithoutAnAddressOfAFamilyDoesNotGetTheCommonPolicyByIt) {
  const auto policy = compile("domains: [common.test]\nagents: [{name: a, addresses: [10.0.0.20]}]");
  EXPECT_FALSE(allows(*policy, "2001:db8::20", "common.test")) << "it may be agent a";
  EXPECT_TRUE(allows(*policy, "10.0.0.21", "common.test"));
}

TEST(Agents, WithAgentsOnlyOthersGetNothing) {
  const auto policy = compile(std::string(kTwoAgents) + "agents_only: true\n");
  EXPECT_FALSE(allows(*policy, "10.0.0.99", "common.test"));
  EXPECT_TRUE(allows(*policy, "10.0.1.7", "common.test")) << "it inherits";
  EXPECT_EQ(policy->all().size(), 2U) << "nothing is planned for the common policy";
  const auto nobody = compile("domains: [common.test]\nagents_only: true\n");
  EXPECT_FALSE(allows(*nobody, "10.0.0.99", "common.test")) << "there is no agent at all";
}

TEST(Agents, TheModeIsTheAgentsOwn) {
  const auto policy = compile(kTwoAgents);
  EXPECT_EQ(policy->for_client(base::IpAddress::parse("10.0.1.7").value()).mode(), Mode::kObserve);
  EXPECT_EQ(policy->for_client(base::IpAddress::parse("10.0.0.20").value()).mode(), Mode::kEnforce);
  EXPECT_EQ(policy->mode(), Mode::kEnforce);
}

TEST(Agents, OfOneNameInLaterFilesAreLayers) {
  const std::vector<PolicySource> layers = {
      {"team.yaml", "agents: [{name: a, addresses: [10.0.0.20], domains: [one.test]}]"},
      {"mine.yaml", "agents: [{name: a, addresses: [10.0.0.21], domains: [two.test]}]"}};
  const auto policy = Policy::compile(layers).value();
  for (const char* const client : {"10.0.0.20", "10.0.0.21"}) {
    EXPECT_TRUE(allows(*policy, client, "one.test"));
    EXPECT_TRUE(allows(*policy, client, "two.test"));
  }
  EXPECT_EQ(policy->decide(from("10.0.0.20", "two.test")).rule.file, "mine.yaml");
}

TEST(Agents, ALayerForEveryAgentReachesThoseThatInheritNothing) {
  const std::vector<PolicySource> layers = {{"policy.yaml", std::string(kTwoAgents)},
                                            {"(mode)", "mode: observe", true}};
  const auto policy = Policy::compile(layers).value();
  EXPECT_EQ(policy->for_client(base::IpAddress::parse("10.0.0.20").value()).mode(), Mode::kObserve);
}

TEST(Agents, TheCommonDenyAppliesToEachAndNoneTakesItBack) {
  constexpr std::string_view kText = R"(deny: [bad.review.test]
agents:
  - name: a
    addresses: [10.0.0.20]
    domains: ["*.review.test"]
    deny: [{host: bad.review.test, merge_mode: replace, rules: []}, own.review.test]
  - {name: b, addresses: [10.0.0.21], inherit: true, domains: ["*.review.test"]}
)";
  const auto policy = compile(kText);
  for (const char* const client : {"10.0.0.20", "10.0.0.21"}) {
    EXPECT_EQ(policy->decide(from(client, "bad.review.test")).reason, Reason::kDeniedByPolicy) << client;
    EXPECT_TRUE(allows(*policy, client, "good.review.test")) << client;
  }
  EXPECT_FALSE(allows(*policy, "10.0.0.20", "own.review.test"));
  EXPECT_TRUE(allows(*policy, "10.0.0.21", "own.review.test")) << "denied to the other agent alone";
}

TEST(Agents, SayWhoTheyAre) {
  const auto policy = compile(kTwoAgents);
  const auto agents = policy->agents();
  ASSERT_EQ(agents.size(), 2U);
  EXPECT_EQ(agents[1].name, "coder");
  EXPECT_EQ(agents[1].addresses.size(), 3U);
  EXPECT_EQ(agents[1].line.line, 6);
  EXPECT_EQ(policy->of_agent("reviewer"), agents[0].policy);
  EXPECT_EQ(policy->of_agent("nobody"), nullptr);
}

// /policy of one agent.
TEST(Agents, ThePolicyOfOneDoesNotTellOfAnother) {
  const auto policy = compile(kTwoAgents);
  const auto text = effective_text(*policy->of_agent("reviewer"));
  EXPECT_THAT(text, HasSubstr("review.test"));
  for (const char* const hidden : {"code.test", "common.test", "10.0.0.30", "coder"}) {
    EXPECT_EQ(text.find(hidden), std::string::npos) << hidden << "\n" << text;
    EXPECT_EQ(effective_json(*policy->of_agent("reviewer")).find(hidden), std::string::npos) << hidden;
  }
  EXPECT_EQ(effective_text(*policy).find("review.test"), std::string::npos) << "of the common policy";
}

TEST(Agents, WhatIsWrongIsSaidAtItsPlace) {
  const auto fault = compile_error;
  EXPECT_THAT(fault("agents: [{name: a, addresses: [10.0.0.1]}, {name: b, addresses: [10.0.0.0/24]}]"),
              HasSubstr("10.0.0.0/24 is an address of agent a too"));
  EXPECT_THAT(fault("agents: [{name: a, addresses: [10.0.0.0/24]}, {name: b, addresses: [10.0.0.1]}]"),
              HasSubstr("10.0.0.1/32 is an address of agent a too"));
  EXPECT_THAT(fault("agents: [{name: a}]"), HasSubstr("agent a has no addresses"));
  EXPECT_THAT(fault("agents: [{addresses: [10.0.0.1]}]"), HasSubstr("needs a 'name'"));
  EXPECT_THAT(fault("agents: [{name: a, addresses: [10.0.0.1]}, {name: a, addresses: [10.0.0.2]}]"),
              HasSubstr("listed twice in this file"));
  EXPECT_THAT(fault("agents: [{name: 'a b', addresses: [10.0.0.1]}]"), HasSubstr("is not a name of an agent"));
  EXPECT_THAT(fault("agents: [{name: a, addresses: [\"fe80::1\"]}]"), HasSubstr("link-local"));
  EXPECT_THAT(fault("agents: [{name: a, addresses: [\"::ffff:10.0.0.1\"]}]"), HasSubstr("write an IPv4 address as"));
  EXPECT_THAT(fault("agents: [{name: a, address: [10.0.0.1]}]"), HasSubstr("did you mean 'addresses'?"));
}

TEST(Agents, ThereAreNoMoreThanTheBound) {
  std::string text = "agents:\n";
  for (std::size_t i = 0; i < kMaxAgents; ++i) {
    text += "  - {name: a" + std::to_string(i) + ", addresses: [10.0." + std::to_string(i / 250) + "." +
            std::to_string(1 + i % 250) + "]}\n";
  }
  EXPECT_EQ(compile(text)->agents().size(), kMaxAgents);
  EXPECT_THAT(compile_error(text + "  - {name: more, addresses: [10.9.0.1]}\n"), HasSubstr("more than 256 agents"));
}

TEST(Agents, HaveNoMoreAddressesThanTheBound) {
  const auto with = [](std::size_t count) {
    std::string text = "agents: [{name: a, addresses: [";
    for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "10.0.0." : ", 10.0.0.") + std::to_string(1 + i);
    return text + "]}]";
  };
  EXPECT_EQ(compile(with(kMaxAgentAddresses))->agents().front().addresses.size(), kMaxAgentAddresses);
  EXPECT_THAT(compile_error(with(kMaxAgentAddresses + 1)), HasSubstr("more than 64 addresses of one agent"));
}

TEST(Agents, InheritNoMoreHostsThanTheBound) {
  constexpr std::size_t kHosts = 10'000;
  const auto with = [](std::size_t agents) {
    std::string text = "domains:\n";
    for (std::size_t i = 0; i < kHosts; ++i) text += "- h" + std::to_string(i) + ".test\n";
    text += "agents:\n";
    for (std::size_t i = 0; i < agents; ++i) {
      text +=
          "  - {name: a" + std::to_string(i) + ", inherit: true, addresses: [10.0.0." + std::to_string(1 + i) + "]}\n";
    }
    return text;
  };
  EXPECT_THAT(compile_error(with(kMaxAgentHosts / kHosts + 1)), HasSubstr("more than 1000000 hosts in all"));
}

TEST(AgentTable, FindsTheAgentOfEveryAddressAndOfNoOther) {
  const auto range = [](std::string_view text) { return base::Cidr::parse(text).value(); };
  AgentTable table;
  EXPECT_FALSE(table.add(range("10.0.0.16/28"), 1));
  EXPECT_FALSE(table.add(range("10.0.0.15"), 2));
  EXPECT_FALSE(table.add(range("10.0.0.32"), 3));
  EXPECT_FALSE(table.add(range("a00::/16"), 4)) << "whose bytes begin as those of 10.0.0.0";
  EXPECT_FALSE(table.add(range("10.0.0.20"), 1)) << "its own";
  EXPECT_EQ(table.add(range("10.0.0.31"), 2), 1U);
  EXPECT_EQ(table.add(range("10.0.0.0/8"), 9), 2U) << "one that it holds";
  const std::vector<std::pair<const char*, std::optional<std::uint32_t>>> kExpected = {
      {"10.0.0.14", std::nullopt}, {"10.0.0.15", 2}, {"10.0.0.16", 1},       {"10.0.0.31", 1}, {"10.0.0.32", 3},
      {"10.0.0.33", std::nullopt}, {"a00::1", 4},    {"a01::", std::nullopt}};
  for (const auto& [address, agent] : kExpected) {
    EXPECT_EQ(table.find(base::IpAddress::parse(address).value()), agent) << address;
  }
}

}  // namespace
}  // namespace soleroute::policy::testing
