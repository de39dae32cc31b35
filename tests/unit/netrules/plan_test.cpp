// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

template <class Change>
std::string fault_of(Topology topology, Change change, bool open = true) {
  Intent intent = intent_for(topology);
  change(intent);
  const auto rules = open ? open_rules(intent) : closed_rules(intent);
  return rules ? "" : rules.error().message;
}

TEST(Plan, RefusesAnIntentThatItCannotCarryOutWhole) {
  using enum Topology;
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.inside_interface.clear(); }), HasSubstr("inside interface"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.inside_interface = "lo"; }), HasSubstr("must not be lo"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.inside_interface = "in*"; }), HasSubstr("interface name"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.inside_interface = "in\" accept"; }), HasSubstr("interface name"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.table = "a b"; }), HasSubstr("name for a table"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.redirect_port = 0; }), HasSubstr("not known yet"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.dns_port = 0; }), HasSubstr("not known yet"));
  EXPECT_THAT(fault_of(kRouter, [](Intent& i) { i.dns_port = i.redirect_port; }), HasSubstr("same port"));
  EXPECT_THAT(fault_of(kJail, [](Intent& i) { i.explicit_proxy_port = i.redirect_port; }), HasSubstr("same port"));
  EXPECT_THAT(fault_of(kJail, [](Intent& i) { i.explicit_proxy_port = 443; }), HasSubstr("53, 80 or 443"));
  EXPECT_THAT(fault_of(kSidecar, [](Intent& i) { i.gateway_mark = 0; }), HasSubstr("mark is not set"));
  EXPECT_THAT(fault_of(kSidecar, [](Intent& i) { i.gateway_mark = 0; }, false), HasSubstr("mark is not set"));
  EXPECT_THAT(fault_of(kGuard, [](Intent& i) { i.gateway_addresses.clear(); }), HasSubstr("address is not given"));
  for (const Topology topology : {kRouter, kSidecar, kJail, kGuard}) {
    EXPECT_EQ(fault_of(topology, [](Intent&) {}), "") << "the control";
    const auto no_ports = [](Intent& i) { i.redirect_port = i.dns_port = i.explicit_proxy_port = 0; };
    EXPECT_EQ(fault_of(topology, no_ports, false), "") << "closed rules come before the listeners";
  }
}

// A chain that only names packets to the log accepts by policy; every other filter of input, forward and output drops.
TEST(Plan, DropsByPolicyWhereverPacketsAreDecided) {
  for (const NamedIntent& named : all_intents()) {
    for (const Chain& chain : rules_of(named).chains) {
      if (!chain.base || chain.base->type == ChainType::kNat || chain.base->hook == Hook::kPrerouting) continue;
      // What names packets, what refuses some and leaves the rest to the chain that drops; the router's own namespace
      // has no agent in it, and holds back answers alone.
      const bool decides = !chain.name.starts_with("report_") && chain.name != "sources" && chain.name != "answers";
      if (chain.name == "answers") {
        EXPECT_EQ(named.intent.topology, Topology::kRouter);
        continue;
      }
      const bool reports = !decides;
      EXPECT_EQ(chain.base->policy, reports ? ChainPolicy::kAccept : ChainPolicy::kDrop) << named.name << chain.name;
      EXPECT_LT(reports ? chain.base->priority : -1, 0) << "what the queue accepts must still meet the refusal";
    }
  }
}

TEST(Plan, HoldsEveryHookInEveryTopologyOpenOrClosed) {
  for (const NamedIntent& named : all_intents()) {
    const Ruleset rules = rules_of(named);
    const auto drops_at = [&](Hook hook) {
      return std::ranges::any_of(rules.chains, [&](const Chain& chain) {
        return chain.base && chain.base->hook == hook && chain.base->policy == ChainPolicy::kDrop;
      });
    };
    EXPECT_TRUE(drops_at(Hook::kForward)) << named.name;
    EXPECT_TRUE(drops_at(Hook::kInput)) << named.name;
    if (named.intent.topology != Topology::kRouter) {
      EXPECT_TRUE(drops_at(Hook::kOutput)) << named.name;
    }
  }
}

TEST(Plan, RedirectsBeforeOtherProgramsDo) {
  for (const NamedIntent& named : all_intents()) {
    for (const Chain& chain : rules_of(named).chains) {
      if (chain.base && chain.base->type == ChainType::kNat) {
        EXPECT_LT(chain.base->priority, kPriorityDstNat);
      }
    }
  }
}

TEST(Plan, HasNoRedirectWhileClosed) {
  for (const Topology topology : {Topology::kRouter, Topology::kSidecar, Topology::kJail, Topology::kGuard}) {
    EXPECT_THAT(to_text(*closed_rules(intent_for(topology))), Not(HasSubstr("redirect")));
  }
}

TEST(Plan, RedirectsUdpEndpointsWhereTheyAreServed) {
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kUdp, std::nullopt, {123}, "policy.yaml:3"}};
  EXPECT_THAT(to_text(*open_rules(intent)), HasSubstr("udp dport 123 redirect to :15123 comment \"policy.yaml:3\""));
  intent.udp_port = 0;
  EXPECT_THAT(to_text(*open_rules(intent)), Not(HasSubstr("dport 123")));
  intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kUdp, std::nullopt, {53}, "policy.yaml:3"}};
  EXPECT_THAT(to_text(*open_rules(intent)), Not(HasSubstr("15123"))) << "DNS is the gateway's";
  intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kUdp, std::nullopt, {123}, "policy.yaml:3"}};
  intent.endpoints.front().transport = EndpointRule::Transport::kTcp;
  EXPECT_THAT(to_text(*open_rules(intent)), HasSubstr("tcp dport 123 redirect to :15001 comment \"policy.yaml:3\""));
}

TEST(Plan, CutsAndCleansCommentsToWhatNftHolds) {
  Intent intent = intent_for(Topology::kRouter);
  const std::string path = "/" + std::string(200, 'd') + "/pol\"icy\n\\.yaml:12";
  intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, {22}, path}};
  const auto rules = open_rules(intent);
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_THAT(to_text(*rules), HasSubstr("ddd/pol?icy??.yaml:12\""));
}

TEST(Plan, SortsAndJoinsThePortsOfAnEndpoint) {
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, {9000, 22, 9000}, ""}};
  const auto rules = open_rules(intent);
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_THAT(to_text(*rules), HasSubstr("tcp dport { 22, 9000 } redirect"));
}

TEST(Plan, CapturesEveryTcpPortOnlyWhenObserving) {
  for (const Topology topology : {Topology::kRouter, Topology::kSidecar, Topology::kJail}) {
    Intent intent = intent_for(topology);
    EXPECT_THAT(to_text(*open_rules(intent)), Not(HasSubstr("every other port")));
    intent.capture_all_tcp = true;
    EXPECT_THAT(to_text(*open_rules(intent)), HasSubstr("every other port"));
    EXPECT_THAT(to_text(*closed_rules(intent)), Not(HasSubstr("redirect")));
  }
}

// An address that represents the name of an endpoint too, whatever port of its ranges it is.
TEST(Plan, LeavesPortsOfProxiedEndpointsToTheGateway) {
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, {22}, "", {{5400, 5499}}}};
  EXPECT_THAT(to_text(*open_rules(intent)), ContainsRegex("5222, 5432, 5672.* \\} accept comment \"denied names"));
  intent.endpoints_by_proxy = true;
  const auto text = to_text(*open_rules(intent));
  EXPECT_THAT(text, ContainsRegex("dport \\{ 21, 23, .*5222, 5672.* \\} accept comment \"denied names"));
  EXPECT_THAT(text, HasSubstr("tcp dport 5400-5499 redirect to :15001"));
}

TEST(Plan, RelaysUdpInRangesButDns) {
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kUdp, std::nullopt, {}, "", {{50, 54}, {5000, 5010}}}};
  const auto text = to_text(*open_rules(intent));
  for (const char* part : {"udp dport 54 ", "udp dport 50-52 ", "udp dport 5000-5010 "}) {
    EXPECT_THAT(text, HasSubstr(std::string(part) + "redirect to :15123"));
  }
  EXPECT_THAT(text, HasSubstr("udp dport { 53, 54 } accept"));
  EXPECT_THAT(text, HasSubstr("udp dport 50-52 accept"));
  EXPECT_THAT(text, Not(HasSubstr("50-54")));
}

TEST(Plan, PrefersTheNativeQueueAndKeepsTheTextLoadableWithoutIt) {
  Intent intent = intent_for(Topology::kRouter);
  EXPECT_THAT(to_text(*open_rules(intent)), Not(HasSubstr("report_")));
  intent.packet_queue = 19;
  EXPECT_THAT(to_text(*open_rules(intent)), HasSubstr("counter queue to 19"));
  intent.native_queue = false;
  EXPECT_THAT(to_text(*open_rules(intent)), HasSubstr("# iifname \"in0\" limit rate"));
}

}  // namespace
}  // namespace soleroute::netrules::testing
