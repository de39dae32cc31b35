// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/evaluate.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

base::IpAddress address(const char* text) {
  return *base::IpAddress::parse(text);
}

constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmpv6 = 58;
constexpr std::uint16_t kRedirect = 15001, kDns = 15053, kProxy = 8080;

// A packet that the agent puts on the wire.
Packet from_agent(const char* destination, std::uint8_t protocol, std::uint16_t port) {
  Packet packet;
  packet.destination = address(destination);
  packet.source = address(packet.destination.is_v4() ? "10.77.0.10" : "fd77::10");
  packet.protocol = protocol;
  packet.destination_port = port;
  packet.input_interface = "in0";
  return packet;
}
Packet to_gateway(const char* destination, std::uint8_t protocol, std::uint16_t port) {
  Packet packet = from_agent(destination, protocol, port);
  packet.destination_is_local = true;
  packet.destination_is_on_input = std::string(destination) != "45.33.32.1";
  return packet;
}
template <class Change>
Packet changed(Packet packet, Change change) {
  change(packet);
  return packet;
}

struct Case {
  Packet packet;
  Fate fate;
  std::uint16_t redirected_to;  // 0: not
  const char* why;              // with the case of the catalogue of threats
};

void expect_verdicts(const Ruleset& rules, std::span<const Case> cases, bool arriving) {
  for (const Case& item : cases) {
    const Verdict verdict = arriving ? arrive(rules, item.packet, address("10.77.0.2")) : leave(rules, item.packet);
    EXPECT_EQ(verdict.fate, item.fate) << item.why << ": " << verdict.decided_by;
    EXPECT_EQ(verdict.redirected_to.value_or(0), item.redirected_to) << item.why;
  }
}

Ruleset router_with_endpoints() {
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, {5432, 8888}, ""},
                      {EndpointRule::Transport::kTcp, *base::Cidr::parse("198.51.100.0/28"), {22}, ""}};
  return *open_rules(intent);
}

TEST(RouterRules, GiveEachPacketOfAnAgentItsVerdict) {
  using enum Fate;
  const auto untouched = [](Packet&) {};
  const Case cases[] = {
      {from_agent("45.33.32.10", kTcp, 443), kAccepted, kRedirect, "control C01: https ends at the gateway"},
      {from_agent("45.33.32.10", kTcp, 80), kAccepted, kRedirect, "control C01: http"},
      {from_agent("2606:4700::1111", kTcp, 443), kAccepted, kRedirect, "T008: IPv6 as IPv4"},
      {from_agent("8.8.8.8", kUdp, 53), kAccepted, kDns, "control C12: whatever resolver is asked"},
      {from_agent("8.8.8.8", kTcp, 53), kAccepted, kDns, "T037: TCP 53 is our resolver's"},
      {to_gateway("10.77.0.2", kUdp, 53), kAccepted, kDns, "control C12: the resolver that was announced"},
      {to_gateway("10.77.0.2", kTcp, 80), kAccepted, kRedirect, "the address of a denied name shows the page"},
      {from_agent("9.9.9.9", kTcp, 5432), kAccepted, kRedirect, "an endpoint by name: decided by the gateway"},
      {from_agent("198.51.100.7", kTcp, 22), kAccepted, kRedirect, "an endpoint by prefix"},
      {from_agent("198.51.100.77", kTcp, 22), kReset, 0, "beside the prefix"},
      {from_agent("100.65.4.7", kTcp, 443), kAccepted, kRedirect, "a denied name's address: the page"},
      {from_agent("100.65.4.7", kTcp, 4873), kAccepted, kRedirect, "another port of it: HTTP gets a page there too"},
      {from_agent("fd73:6f6c:6572:1::407", kTcp, 3000), kAccepted, kRedirect, "likewise over IPv6"},
      {from_agent("100.65.4.7", kTcp, 6379), kReset, 0, "no HTTP on this port: refused at once"},
      {from_agent("fd73:6f6c:6572:1::407", kTcp, 22), kReset, 0, "likewise over IPv6"},
      {from_agent("100.65.4.7", kTcp, 5432), kReset, 0, "refused at once although an endpoint by name has this port"},
      {from_agent("100.65.4.7", kTcp, 8888), kAccepted, kRedirect, "an endpoint by name: its name may be allowed now"},
      {from_agent("100.65.4.7", kUdp, 443), kProhibited, 0, "QUIC to a denied name"},
      {from_agent("100.65.4.7", kUdp, 5000), kProhibited, 0, "UDP to a denied name"},
      {from_agent("100.66.4.7", kTcp, 4873), kReset, 0, "beside the network"},
      {from_agent("45.33.32.66", kUdp, 443), kProhibited, 0, "T001: QUIC"},
      {from_agent("45.33.32.66", kUdp, 80), kProhibited, 0, "T001"},
      {from_agent("45.33.32.66", kTcp, 22), kReset, 0, "T002: every other port"},
      {from_agent("45.33.32.66", kTcp, 8443), kReset, 0, "T002"},
      {from_agent("45.33.32.66", kUdp, 123), kProhibited, 0, "T002"},
      {changed(from_agent("45.33.32.66", kIcmp, 0), [](Packet& p) { p.icmp_type = 8; }), kProhibited, 0, "T003: echo"},
      {changed(to_gateway("10.77.0.2", kIcmp, 0), [](Packet& p) { p.icmp_type = 8; }), kAccepted, 0,
       "T003 control: echo"},
      {changed(to_gateway("10.77.0.2", kIcmp, 0), [](Packet& p) { p.icmp_type = 13; }), kProhibited, 0,
       "T003: timestamp"},
      {changed(from_agent("45.33.32.10", kIcmp, 0),
               [](Packet& p) {
                 p.icmp_type = 3;
                 p.state = ConnectionState::kRelated;
               }),
       kProhibited, 0, "T004: an ICMP error that claims to be related"},
      {from_agent("45.33.32.66", 47, 0), kProhibited, 0, "T005: GRE"},
      {from_agent("45.33.32.66", 132, 443), kProhibited, 0, "T005: SCTP to 443 is not TCP"},
      {changed(from_agent("45.33.32.10", kTcp, 443), [](Packet& p) { p.has_ip_options = true; }), kDropped, 0,
       "T007: source route"},
      {changed(from_agent("2606:4700::1111", kTcp, 443), [](Packet& p) { p.has_routing_header = true; }), kDropped, 0,
       "T007 over IPv6"},
      {changed(to_gateway("fd77::2", kIcmpv6, 0),
               [](Packet& p) {
                 p.icmp_type = 135;
                 p.state = ConnectionState::kUntracked;
               }),
       kAccepted, 0, "control: who has the gateway's address"},
      {changed(to_gateway("fd77::2", kIcmpv6, 0),
               [](Packet& p) {
                 p.icmp_type = 134;
                 p.state = ConnectionState::kUntracked;
               }),
       kProhibited, 0, "T010: a router advertisement from inside"},
      {changed(to_gateway("10.77.0.2", kTcp, 443), [](Packet& p) { p.source_has_route_back = false; }), kDropped, 0,
       "T015: a source address that is not inside"},
      {to_gateway("45.33.32.1", kTcp, 22), kReset, 0, "T017: the gateway's other address"},
      {to_gateway("45.33.32.1", kTcp, kProxy), kReset, 0, "T017: the explicit proxy is inside only"},
      {to_gateway("10.77.0.2", kTcp, kProxy), kAccepted, 0, "control: the explicit proxy"},
      {from_agent("45.33.32.66", kTcp, kProxy), kReset, 0, "another's port 8080"},
      {changed(from_agent("45.33.32.66", kTcp, 22), [](Packet& p) { p.mark = 0x51; }), kReset, 0, "T020: a mark"},
      {changed(from_agent("45.33.32.66", kTcp, 22), [](Packet& p) { p.state = ConnectionState::kEstablished; }), kReset,
       0, "not grandfathered"},
      {changed(from_agent("45.33.32.66", kTcp, 443), [](Packet& p) { p.state = ConnectionState::kEstablished; }),
       kReset, 0, "not grandfathered, though its port is redirected now"},
      {to_gateway("10.77.0.2", kTcp, kRedirect), kReset, 0, "T127: the listener directly"},
      {to_gateway("10.77.0.2", kTcp, kDns), kReset, 0, "T127"},
      {to_gateway("10.77.0.2", kUdp, kDns), kProhibited, 0, "T127"},
      {changed(from_agent("10.77.0.10", kTcp, 80),
               [](Packet& p) {
                 p.input_interface = "up0";
                 p.source = address("45.33.32.66");
               }),
       kDropped, 0, "from outside to an agent"},
      {changed(to_gateway("45.33.32.1", kTcp, kRedirect), [](Packet& p) { p.input_interface = "up0"; }), kDropped, 0,
       "from outside to the gateway"},
      {changed(to_gateway("45.33.32.1", kTcp, 40000),
               [](Packet& p) {
                 p.input_interface = "up0";
                 p.reply = true;
                 p.state = ConnectionState::kEstablished;
               }),
       kAccepted, 0, "control: an origin's answer to the gateway"},
      {changed(to_gateway("45.33.32.1", kTcp, 40000),
               [](Packet& p) {
                 p.input_interface = "up0";
                 p.state = ConnectionState::kEstablished;
               }),
       kDropped, 0, "a connection that an outsider began before"},
      {changed(to_gateway("10.77.0.2", kTcp, 9000), [](Packet& p) { p.input_interface = "lo"; }), kAccepted, 0,
       "control: the gateway with itself"},
      {changed(from_agent("45.33.32.10", kTcp, 443), untouched), kAccepted, kRedirect, "control: nothing was changed"},
  };
  expect_verdicts(router_with_endpoints(), cases, true);
}

TEST(RouterRules, PassNothingWhileClosed) {
  using enum Fate;
  const Case cases[] = {
      {from_agent("45.33.32.10", kTcp, 443), kDropped, 0, "https"},
      {from_agent("8.8.8.8", kUdp, 53), kDropped, 0, "DNS"},
      {to_gateway("10.77.0.2", kTcp, kProxy), kDropped, 0, "the explicit proxy"},
      {changed(to_gateway("10.77.0.2", kIcmp, 0), [](Packet& p) { p.icmp_type = 8; }), kDropped, 0, "echo"},
      {changed(from_agent("45.33.32.10", kTcp, 443), [](Packet& p) { p.state = ConnectionState::kEstablished; }),
       kDropped, 0, "not grandfathered"},
      {changed(to_gateway("45.33.32.1", kUdp, 40000),
               [](Packet& p) {
                 p.input_interface = "up0";
                 p.reply = true;
                 p.state = ConnectionState::kEstablished;
               }),
       kAccepted, 0, "control: the gateway's own resolver answers"},
  };
  expect_verdicts(*closed_rules(intent_for(Topology::kRouter)), cases, true);
}

Packet from_program(const char* destination, std::uint8_t protocol, std::uint16_t port, std::uint32_t mark = 0) {
  Packet packet;
  packet.destination = address(destination);
  packet.source = address(packet.destination.is_v4() ? "100.64.0.1" : "fd64::1");
  packet.protocol = protocol;
  packet.destination_port = port;
  packet.mark = mark;
  const base::Cidr loopback = *base::Cidr::parse("127.0.0.0/8");
  packet.destination_is_local = loopback.contains(packet.destination) || packet.destination == address("::1") ||
                                packet.destination == packet.source;
  packet.output_interface = packet.destination_is_local ? "lo" : "eth0";
  packet.next_hop = address(packet.destination.is_v4() ? "10.77.0.2" : "fd77::2");
  return packet;
}

TEST(JailRules, GiveEachPacketOfTheCommandItsVerdict) {
  using enum Fate;
  const Case cases[] = {
      {from_program("1.1.1.1", kTcp, 443), kAccepted, kRedirect, "control: https"},
      {from_program("2606:4700::1111", kTcp, 80), kAccepted, kRedirect, "control: http over IPv6"},
      {from_program("8.8.8.8", kUdp, 53), kAccepted, kDns, "control: DNS"},
      {from_program("127.0.0.1", kUdp, 53), kAccepted, kDns, "a resolver on loopback is ours"},
      {from_program("127.0.0.11", kUdp, 53), kAccepted, kDns, "an engine's too"},
      {from_program("127.0.0.1", kTcp, 80), kAccepted, 0, "control: the command's own web server"},
      {from_program("::1", kTcp, 443), kAccepted, 0, "control: the same over IPv6"},
      {from_program("127.0.0.1", kTcp, 7777), kAccepted, 0, "control: its own service"},
      {from_program("127.0.0.1", kTcp, kProxy), kAccepted, 0, "control: the explicit proxy"},
      {from_program("100.64.0.1", kTcp, 80), kAccepted, kRedirect, "the gateway as the command sees it"},
      {from_program("127.0.0.1", kTcp, kRedirect), kReset, 0, "T127: a listener directly"},
      {from_program("127.0.0.1", kUdp, kDns), kProhibited, 0, "T127"},
      {from_program("1.1.1.1", kTcp, 22), kReset, 0, "T002"},
      {from_program("1.1.1.1", kUdp, 443), kProhibited, 0, "T001"},
      {from_program("1.1.1.1", kTcp, 22, 0x51), kReset, 0, "T020: no mark is exempt"},
      {from_program("1.1.1.1", 132, 443), kProhibited, 0, "T005"},
      {changed(from_program("1.1.1.1", kTcp, 443), [](Packet& p) { p.state = ConnectionState::kEstablished; }), kReset,
       0, "not grandfathered"},
  };
  expect_verdicts(*open_rules(intent_for(Topology::kJail)), cases, false);
}

TEST(SidecarRules, ExemptTheMarkAndNothingElse) {
  using enum Fate;
  const Case cases[] = {
      {from_program("1.1.1.1", kTcp, 443, 0x51), kAccepted, 0, "control: the gateway dials"},
      {from_program("8.8.8.8", kUdp, 53, 0x51), kAccepted, 0, "control: the gateway asks"},
      {from_program("1.1.1.1", kTcp, 443), kAccepted, kRedirect, "control: an agent's https"},
      {from_program("1.1.1.1", kTcp, 443, 0x52), kAccepted, kRedirect, "T020: another mark is none"},
      {from_program("1.1.1.1", kTcp, 22, 0x52), kReset, 0, "T020"},
      {from_program("127.0.0.11", kTcp, 40053), kReset, 0, "the hidden port of the engine's resolver"},
      {changed(from_program("45.33.32.66", kTcp, 40000),
               [](Packet& p) {
                 p.reply = true;
                 p.state = ConnectionState::kEstablished;
               }),
       kReset, 0, "the answer to a connection that came in before the rules"},
      {changed(from_program("8.8.8.8", kUdp, 53),
               [](Packet& p) {
                 p.connection_mark = 0x51;
                 p.state = ConnectionState::kEstablished;
               }),
       kProhibited, 0, "on the tuple of a question that the gateway asked: the connection's mark is no ticket"},
      {changed(from_program("fd77::2", kIcmpv6, 0),
               [](Packet& p) {
                 p.icmp_type = 135;
                 p.state = ConnectionState::kUntracked;
               }),
       kAccepted, 0, "control: the kernel looks for its neighbour"},
      {changed(from_program("fd77::2", kIcmpv6, 0), [](Packet& p) { p.icmp_type = 128; }), kProhibited, 0, "T003"},
  };
  expect_verdicts(*open_rules(intent_for(Topology::kSidecar)), cases, false);
}

TEST(GuardRules, LeadToTheGatewayAndNowhereElse) {
  using enum Fate;
  const auto beside = [](Packet& p) { p.next_hop = p.destination; };
  const Case cases[] = {
      {from_program("1.1.1.1", kTcp, 443), kAccepted, 0, "control: https through the gateway"},
      {from_program("2606:4700::1111", kTcp, 80), kAccepted, 0, "control: IPv6"},
      {from_program("10.77.0.2", kUdp, 53), kAccepted, 0, "control: DNS"},
      {from_program("10.77.0.2", kTcp, kProxy), kAccepted, 0, "control: explicit proxy"},
      {from_program("127.0.0.1", kTcp, 7777), kAccepted, 0, "control: own service"},
      {changed(from_program("10.77.0.50", kTcp, 443), beside), kReset, 0, "T016: a neighbour"},
      {from_program("1.1.1.1", kTcp, 22), kReset, 0, "T002"},
      {from_program("1.1.1.1", kUdp, 443), kProhibited, 0, "T001"},
      {from_program("1.1.1.1", kTcp, kProxy), kReset, 0, "somebody else's proxy"},
      {from_program("127.0.0.11", kUdp, 53), kAccepted, 0, "control: the engine's resolver asks on through here"},
      {from_program("127.0.0.11", kTcp, 40053), kReset, 0, "its hidden port"},
  };
  expect_verdicts(*open_rules(intent_for(Topology::kGuard)), cases, false);
}

// IPV6_FREEBIND lets any program send from an address that is not here.
TEST(OwnSources, AreTheOnlyOnesOfIpv6InEveryNamespaceWithAnAgent) {
  using enum Fate;
  const auto forged = [](Packet& p) {
    p.source = address("fd77::11");
    p.source_is_local = false;
  };
  const auto unspecified = [](Packet& p) {
    p.source = address("::");
    p.source_is_local = false;
    p.icmp_type = 135;
    p.state = ConnectionState::kUntracked;
  };
  const auto kernels_reset = [](Packet& p) {
    p.source = address("2606:4700::1111");
    p.source_is_local = false;
    p.state = ConnectionState::kRelated;
    p.reply = true;
  };
  const Case cases[] = {
      {changed(from_program("2606:4700::53", kUdp, 53), forged), kDropped, 0, "T170: a question in another's name"},
      {changed(from_program("2606:4700::53", kTcp, 443), forged), kDropped, 0, "T170: a connection in another's name"},
      {changed(from_program("2606:4700::53", kTcp, 443, 0x51), forged), kDropped, 0, "T170: marked or not"},
      {changed(from_program("::1", kUdp, 40000), forged), kDropped, 0, "T171: an answer in a server's name"},
      {changed(from_program("fd77::2", kIcmpv6, 0), unspecified), kAccepted, 0, "control: is the address free?"},
      {changed(from_program("fd64::1", kTcp, 40000), kernels_reset), kAccepted, 0, "control: the kernel's refusal"},
      {from_program("::1", kTcp, 7777), kAccepted, 0, "control: own service"},
  };
  for (const Topology topology : {Topology::kGuard, Topology::kSidecar, Topology::kJail}) {
    const std::span all(cases);
    // The jail has no link on which to ask.
    expect_verdicts(*open_rules(intent_for(topology)), topology == Topology::kJail ? all.first(4) : all, false);
    expect_verdicts(*closed_rules(intent_for(topology)), all.first(4), false);
  }
}

TEST(OwnSources, AreHeldWhereAPacketArrivesOnLoopbackToo) {
  Packet packet = from_program("::1", kUdp, 40000);
  packet.input_interface = "lo";
  packet.reply = true;
  packet.state = ConnectionState::kEstablished;  // on the tuple of a question that the gateway asked
  packet.source = address("2001:db8::53");
  packet.source_is_local = false;
  for (const Topology topology : {Topology::kSidecar, Topology::kJail}) {
    const Ruleset rules = *open_rules(intent_for(topology));
    Packet forged = packet;
    EXPECT_EQ(evaluate(rules, Hook::kInput, forged).fate, Fate::kDropped) << "T171: a forged answer";
    Packet redirected = packet;
    redirected.redirected = true;
    EXPECT_EQ(evaluate(rules, Hook::kInput, redirected).fate, Fate::kAccepted) << "control: our own answer";
  }
}

TEST(LocalRules, LeadDeniedNamesToTheGatewayAndRefuseWhereNoHttpIsSpoken) {
  for (const Topology topology : {Topology::kSidecar, Topology::kJail}) {
    Intent intent = intent_for(topology);
    const std::vector<std::uint16_t> ports(kPortsWithoutHttp.begin(), kPortsWithoutHttp.end());
    intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, ports, "by name"}};
    const Ruleset rules = *open_rules(intent);
    EXPECT_EQ(leave(rules, from_program("9.9.9.9", kTcp, 5432)).redirected_to, kRedirect) << "control: the endpoint";
    for (const char* denied : {"100.65.4.7", "fd73:6f6c:6572:1::407"}) {
      for (const std::uint16_t port : {80, 443, 3000, 4873, 8080}) {
        const Verdict verdict = leave(rules, from_program(denied, kTcp, port));
        EXPECT_EQ(verdict.fate, Fate::kAccepted) << denied << " " << port;
        EXPECT_EQ(verdict.redirected_to, kRedirect) << denied << " " << port;
      }
      for (const std::uint16_t port : kPortsWithoutHttp) {
        if (port == 53) continue;  // DNS, whatever the address
        EXPECT_EQ(leave(rules, from_program(denied, kTcp, port)).fate, Fate::kReset) << denied << " " << port;
      }
      EXPECT_EQ(leave(rules, from_program(denied, kUdp, 5000)).fate, Fate::kProhibited) << denied;
    }
    EXPECT_EQ(leave(rules, from_program("45.33.32.66", kTcp, 4873)).fate, Fate::kReset) << "control: a real address";
  }
}

TEST(SidecarRules, KeepTheMetricsFromTheAgent) {
  Intent intent = intent_for(Topology::kSidecar);
  intent.metrics_port = 9090;
  for (const bool open : {true, false}) {
    const Ruleset rules = open ? *open_rules(intent) : *closed_rules(intent);
    for (const char* own : {"127.0.0.1", "::1", "100.64.0.1"}) {
      EXPECT_NE(leave(rules, from_program(own, kTcp, 9090)).fate, Fate::kAccepted) << "T173: " << own;
      EXPECT_EQ(leave(rules, from_program(own, kTcp, 9091)).fate, Fate::kAccepted) << "control: " << own;
    }
  }
}

TEST(RouterRules, TellAgentsNothingByAnotherInterface) {
  Packet answer;
  answer.source = address("10.77.0.2");
  answer.destination = address("10.77.0.10");
  answer.state = ConnectionState::kEstablished;
  answer.reply = true;
  for (const bool open : {true, false}) {
    const auto rules = open ? open_rules(intent_for(Topology::kRouter)) : closed_rules(intent_for(Topology::kRouter));
    answer.output_interface = "up0";
    EXPECT_EQ(leave(*rules, answer).fate, Fate::kDropped) << "T174: the route to the agents is gone";
    answer.output_interface = "in0";
    EXPECT_EQ(leave(*rules, answer).fate, Fate::kAccepted) << "control: an answer";
    Packet question = answer;
    question.reply = false;
    question.output_interface = "up0";
    EXPECT_EQ(leave(*rules, question).fate, Fate::kAccepted) << "control: what the gateway itself begins";
  }
}

TEST(Evaluate, GivesTheQueueThePacketBeforeItIsRefused) {
  Intent intent = intent_for(Topology::kRouter);
  intent.packet_queue = 19;
  const Ruleset rules = *open_rules(intent);
  Packet packet = from_agent("45.33.32.66", kTcp, 22);
  Verdict verdict = arrive(rules, packet, address("10.77.0.2"));
  EXPECT_EQ(verdict.fate, Fate::kDropped) << "nobody listens";
  EXPECT_EQ(verdict.queued_to, 19);
  packet.queue_has_listener = true;
  verdict = arrive(rules, packet, address("10.77.0.2"));
  EXPECT_EQ(verdict.fate, Fate::kReset) << "accepted by the listener, refused by the next chain";
  EXPECT_EQ(verdict.queued_to, 19);
  packet.within_rate = false;
  packet.queue_has_listener = false;
  verdict = arrive(rules, packet, address("10.77.0.2"));
  EXPECT_EQ(verdict.fate, Fate::kReset) << "above the rate: refused, not logged";
  EXPECT_EQ(verdict.queued_to, std::nullopt);
  EXPECT_EQ(arrive(rules, from_agent("1.1.1.1", kTcp, 443), address("10.77.0.2")).queued_to, std::nullopt);
}

// Over random packets of an agent: nothing is ever forwarded, and what is accepted ends at one of our doors.
TEST(Evaluate, FindsNoAgentPacketThatIsForwarded) {
  const Ruleset rules = router_with_endpoints();
  std::mt19937 random(7);
  const auto number = [&](std::uint32_t limit) {
    return std::uniform_int_distribution<std::uint32_t>(0, limit)(random);
  };
  int accepted = 0;
  for (int i = 0; i < 50000; ++i) {
    Packet packet = from_agent(number(1) == 0 ? "45.33.32.66" : "2606:4700::1111", kTcp, 0);
    packet.protocol =
        std::array<std::uint8_t, 5>{kTcp, kUdp, kIcmp, kIcmpv6, static_cast<std::uint8_t>(number(255))}[number(4)];
    packet.destination_port = std::array<std::uint16_t, 6>{
        53, 80, 443, 5432, kRedirect, static_cast<std::uint16_t>(number(65535))}[number(5)];
    packet.icmp_type = static_cast<std::uint8_t>(number(255));
    packet.state = static_cast<std::uint8_t>(1U << number(3));
    packet.reply = number(1) == 1;
    packet.mark = number(3) == 0 ? 0x51 : 0;
    packet.connection_mark = number(3) == 0 ? 0x51 : 0;
    packet.queue_has_listener = number(1) == 1;
    packet.source_has_route_back = number(9) != 0;
    const Verdict verdict = arrive(rules, packet, address("10.77.0.2"));
    if (verdict.fate != Fate::kAccepted) continue;
    ++accepted;
    ASSERT_TRUE(verdict.redirected_to == kRedirect || verdict.redirected_to == kDns) << verdict.decided_by;
  }
  EXPECT_GT(accepted, 1000) << "the control";
}

}  // namespace
}  // namespace soleroute::netrules::testing
