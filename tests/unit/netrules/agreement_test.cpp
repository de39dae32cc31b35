// evaluate() against the kernel: generated packets are sent, and each must hit exactly the rules that were computed.
// Every rule is given a counter, and every base chain a last rule that only counts, so that policies show as well.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "netrules/evaluate.h"
#include "netrules/kernel.h"
#include "tests/unit/netrules/raw_packet.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using Counters = std::map<Hit, std::uint64_t>;

base::IpAddress address(const char* text) {
  return *base::IpAddress::parse(text);
}
bool in(const base::IpAddress& address, const char* prefix) {
  return base::Cidr::parse(prefix)->contains(address);
}

Ruleset with_counters(Ruleset rules) {
  for (Chain& chain : rules.chains) {
    for (Rule& rule : chain.rules) rule.statements.insert(rule.statements.begin(), Count{});
    const bool ended = !chain.rules.empty() && chain.rules.back().matches.empty() &&
                       !std::holds_alternative<Jump>(chain.rules.back().statements.back());
    if (chain.base && !ended) chain.rules.push_back({{}, {Count{}}, {}});
  }
  return rules;
}

Counters read_counters(const std::string& table) {
  Counters counters;
  std::map<std::string, std::size_t> position;
  const auto listing = nlohmann::json::parse(run({"nft", "-j", "list", "table", "inet", table}).out);
  for (const auto& item : listing.at("nftables")) {
    if (!item.contains("rule")) continue;
    const auto& rule = item.at("rule");
    const std::string chain = rule.at("chain");
    const std::size_t index = position[chain]++;
    for (const auto& expression : rule.at("expr")) {
      if (!expression.contains("counter")) continue;
      counters[{chain, index}] = expression.at("counter").at("packets").get<std::uint64_t>();
      break;
    }
  }
  return counters;
}

std::string shown(const Counters& hits) {
  std::string text;
  for (const auto& [hit, count] : hits) text += fmt::format(" {}[{}]x{}", hit.chain, hit.rule + 1, count);
  return text;
}

Counters since(const Counters& before, const Counters& after) {
  Counters grown;
  for (const auto& [hit, count] : after) {
    const auto old = before.find(hit);
    const std::uint64_t base = old == before.end() ? 0 : old->second;
    if (count != base) grown[hit] = count - base;
  }
  return grown;
}

// The last packet may still be on its way: looks again until it agrees, for a bounded time.
Counters settled(const std::string& table, const Counters& before, const Counters& expected, Counters& now) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  Counters grown;
  do {
    now = read_counters(table);
    grown = since(before, now);
  } while (grown != expected && std::chrono::steady_clock::now() < deadline);
  return grown;
}

Counters expected_hits(const Verdict& verdict) {
  Counters hits;
  for (const Hit& hit : verdict.hits) ++hits[hit];
  return hits;
}

std::string describe(const RawPacket& packet, std::uint32_t mark) {
  return fmt::format("{} -> {} protocol {} port {} flags {:#x} icmp {} options {} routing {} mark {}",
                     packet.source.to_string(), packet.destination.to_string(), packet.protocol,
                     packet.destination_port, static_cast<int>(packet.flags), packet.icmp_type, packet.has_ip_options,
                     packet.has_routing_header, mark);
}

// What connection tracking makes of a packet that belongs to no connection.
std::uint8_t state_of(const RawPacket& packet) {
  if (packet.protocol == 6) {
    const bool opens = packet.flags == TcpFlags::kSyn || packet.flags == TcpFlags::kAck;  // ACK: picked up, "loose"
    return opens ? ConnectionState::kNew : ConnectionState::kInvalid;
  }
  if (packet.protocol == 1) return packet.icmp_type == 8 ? ConnectionState::kNew : ConnectionState::kInvalid;
  if (packet.protocol != 58) return ConnectionState::kNew;
  if (packet.icmp_type == 128) return ConnectionState::kNew;
  return packet.icmp_type >= 130 ? ConnectionState::kUntracked : ConnectionState::kInvalid;
}

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[std::uniform_int_distribution<std::size_t>(0, from.size() - 1)(random_)];
  }
  bool chance(double probability) { return std::bernoulli_distribution(probability)(random_); }

  RawPacket packet(const std::vector<base::IpAddress>& sources, const std::vector<base::IpAddress>& destinations) {
    RawPacket made;
    made.destination = pick(destinations);
    do {
      made.source = pick(sources);
    } while (made.source.family() != made.destination.family());
    const bool v4 = made.source.is_v4();
    const std::uint8_t icmp = v4 ? 1 : 58;
    made.protocol = pick(std::vector<std::uint8_t>{6, 6, 6, 6, 17, 17, 17, icmp, 253});
    if (made.protocol == 253) made.protocol = next_protocol_++;  // these have no ports to tell connections apart
    made.source_port = next_port_++;                             // a connection of its own
    made.destination_port = pick(ports_);
    made.flags = pick(std::vector{TcpFlags::kSyn, TcpFlags::kSyn, TcpFlags::kAck, TcpFlags::kRst, TcpFlags::kSynAck});
    made.icmp_type =
        v4 ? pick(std::vector<std::uint8_t>{8, 0, 3}) : pick(std::vector<std::uint8_t>{128, 129, 1, 135, 134});
    if (icmp == 58 && made.icmp_type >= 130) made.hop_limit = 255;
    made.has_ip_options = v4 && chance(0.05);
    made.has_routing_header = !v4 && chance(0.05);
    return made;
  }

 private:
  std::mt19937 random_;
  std::uint16_t next_port_ = 20000;
  std::uint8_t next_protocol_ = 144;  // IANA: unassigned
  std::vector<std::uint16_t> ports_{53,   53,   80,   443,   22,    25,    123,  5432,
                                    8000, 8080, 9418, 15001, 15053, 50000, 3000, 6379};
};

class Agreement : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
  }
  void program(const Ruleset& rules) {
    rules_ = with_counters(rules);
    const auto status = make_kernel()->apply(rules_);
    ASSERT_TRUE(status) << status.error().message;
    seen_ = read_counters(rules_.table);
  }
  void expect_agreement(const RawPacket& packet, const Verdict& verdict, std::uint32_t mark,
                        const std::function<void()>& send) {
    send();
    const Counters expected = expected_hits(verdict);
    const Counters before = seen_;
    const Counters actual = settled(rules_.table, before, expected, seen_);
    EXPECT_EQ(actual, expected) << describe(packet, mark) << "\n  kernel:  " << shown(actual)
                                << "\n  computed:" << shown(expected) << "\n  decided by " << verdict.decided_by;
    decided_.insert(verdict.decided_by);
  }

  Ruleset rules_;
  Counters seen_;
  std::set<std::string> decided_;
};

std::vector<EndpointRule> endpoints() {
  using Transport = EndpointRule::Transport;
  return {{Transport::kTcp, std::nullopt, {5432}, ""},
          {Transport::kTcp, *base::Cidr::parse("198.51.100.0/28"), {22, 8000}, ""},
          {Transport::kTcp, *base::Cidr::parse("2001:db8::/33"), {22, 8000}, ""},
          {Transport::kTcp, *base::Cidr::parse("0.0.0.0/0"), {9418}, ""},
          {Transport::kTcp, *base::Cidr::parse("198.51.100.64/28"), {}, "", {{7000, 7999}, {60000, 65535}}}};
}

// --- Router: frames put on the wire by the agent ---

constexpr const char* kSilence =
    "table inet silence {\n"
    "\tchain i {\n\t\ttype filter hook input priority -500; policy drop;\n\t}\n"
    "\tchain o {\n\t\ttype filter hook output priority -500; policy drop;\n\t}\n}\n";

class RouterAgreement : public Agreement {
 protected:
  void SetUp() override {
    Agreement::SetUp();
    if (IsSkipped()) return;
    agent_ = make_namespace();
    outside_ = make_namespace();
    for (const base::Fd* other : {&agent_, &outside_}) {
      inside(*other, [] { EXPECT_EQ(run({"nft", "-f", "-"}, kSilence).status, 0); });
    }
    add_veth("in0", "ag0", agent_);
    add_veth("up0", "or0", outside_);
    for (const char* name : {"in0", "up0"}) ip(fmt::format("link set {} up", name));
    inside(agent_, [&] { ip("link set ag0 up"); });
    inside(outside_, [&] { ip("link set or0 up"); });
    ip("addr add 10.77.0.2/24 dev in0");
    ip("addr add fd77::2/64 dev in0 nodad");
    ip("addr add 45.33.32.1/24 dev up0");
    ip("addr add 2001:db8:ffff::1/64 dev up0 nodad");
    // Answers find their neighbour at once: a failing lookup would send errors of its own over lo.
    for (const char* neighbour : {"10.77.0.10", "10.77.0.99", "10.77.0.50", "fd77::10", "fe80::10"}) {
      ip(fmt::format("neigh add {} lladdr 02:00:00:00:00:01 dev in0 nud permanent", neighbour));
    }
    for (const char* neighbour : {"45.33.32.66", "2001:db8:ffff::66"}) {
      ip(fmt::format("neigh add {} lladdr 02:00:00:00:00:02 dev up0 nud permanent", neighbour));
    }
    ip("route add default via 45.33.32.66");
    ip("-6 route add default via 2001:db8:ffff::66");
    for (const char* setting : {"ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1", "ipv4/conf/all/rp_filter=0",
                                "ipv4/conf/in0/rp_filter=0"}) {
      set_sysctl(setting);
    }
    open_wire();
  }

  void open_wire() {
    ifreq request{};
    std::strcpy(request.ifr_name, "in0");
    const base::Fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::ioctl(any.get(), SIOCGIFHWADDR, &request), 0);
    std::memcpy(link_.sll_addr, request.ifr_hwaddr.sa_data, ETH_ALEN);
    link_.sll_halen = ETH_ALEN;
    link_.sll_family = AF_PACKET;
    inside(agent_, [&] {
      link_.sll_ifindex = static_cast<int>(::if_nametoindex("ag0"));
      wire_.reset(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    });
  }

  void send(const RawPacket& packet) {
    const auto bytes = packet.bytes();
    link_.sll_protocol = htons(packet.source.is_v4() ? ETH_P_IP : ETH_P_IPV6);
    const auto* to = reinterpret_cast<const sockaddr*>(&link_);
    ASSERT_EQ(::sendto(wire_.get(), bytes.data(), bytes.size(), 0, to, sizeof link_),
              static_cast<ssize_t>(bytes.size()));
  }

  static Packet facts(const RawPacket& raw) {
    Packet packet;
    packet.source = raw.source;
    packet.destination = raw.destination;
    packet.protocol = raw.protocol;
    packet.destination_port = raw.destination_port;
    packet.icmp_type = raw.icmp_type;
    packet.has_ip_options = raw.has_ip_options;
    packet.has_routing_header = raw.has_routing_header;
    packet.input_interface = "in0";
    packet.state = state_of(raw);
    const base::IpAddress& to = raw.destination;
    packet.destination_is_on_input = to == address("10.77.0.2") || to == address("fd77::2");
    packet.destination_is_local =
        packet.destination_is_on_input || to == address("45.33.32.1") || to == address("2001:db8:ffff::1");
    const base::IpAddress& from = raw.source;
    packet.source_has_route_back = (in(from, "10.77.0.0/24") || in(from, "fd77::/64") || in(from, "fe80::/64")) &&
                                   from != address("10.77.0.2") && from != address("fd77::2");
    return packet;
  }

  // Of the agent's packets it sees none, and here it would count the kernel's answers to them.
  static Ruleset without_answers(Ruleset rules) {
    std::erase_if(rules.chains, [](const Chain& chain) { return chain.name == "answers"; });
    return rules;
  }

  void run_cases(const Ruleset& rules, int count, std::uint32_t seed) {
    program(without_answers(rules));
    Generator generator(seed);
    const std::vector sources{address("10.77.0.10"), address("10.77.0.10"),  address("10.77.0.99"), address("8.8.8.8"),
                              address("10.77.0.2"),  address("fd77::10"),    address("fd77::10"),   address("fe80::10"),
                              address("fd77::2"),    address("2001:4860::1")};
    const std::vector destinations{address("10.77.0.2"),        address("45.33.32.1"),
                                   address("45.33.32.66"),      address("1.1.1.1"),
                                   address("198.51.100.3"),     address("198.51.100.77"),
                                   address("10.77.0.50"),       address("fd77::2"),
                                   address("2001:db8:ffff::1"), address("2001:db8::5"),
                                   address("2001:db8:8000::5"), address("2606:4700::1111"),
                                   address("100.65.4.7"),       address("fd73:6f6c:6572:1::407")};
    for (int i = 0; i < count && !HasFailure(); ++i) {
      const RawPacket packet = generator.packet(sources, destinations);
      const Packet known = facts(packet);
      const Verdict verdict = arrive(rules_, known, address(packet.source.is_v4() ? "10.77.0.2" : "fd77::2"));
      // The kernel forwards nothing from a link-local address (RFC 4291 section 2.5.6): no chain sees it.
      const bool stays = known.destination_is_local || verdict.redirected_to;
      if (in(packet.source, "fe80::/64") && !stays) continue;
      expect_agreement(packet, verdict, 0, [&] { send(packet); });
    }
  }

  base::Fd agent_, outside_, wire_;
  sockaddr_ll link_{};
};

TEST_F(RouterAgreement, HoldsForGeneratedPacketsOverTheOpenRules) {
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = endpoints();
  run_cases(*open_rules(intent), 250, 1);
  EXPECT_GE(decided_.size(), 9U) << "the cases are many-sided";
}

TEST_F(RouterAgreement, HoldsForGeneratedPacketsOverTheClosedRules) {
  run_cases(*closed_rules(intent_for(Topology::kRouter)), 40, 2);
}

// --- Local topologies: packets of programs in the namespace itself, told from the kernel's answers by their hop limit
// ---

constexpr std::uint8_t kProbeHopLimit = 77;
constexpr const char* kOnlyProbes =
    "table inet bench {\n\tchain o {\n\t\ttype filter hook output priority -500; policy drop;\n"
    "\t\tip ttl 77 accept\n\t\tip6 hoplimit 77 accept\n\t}\n}\n";

class LocalAgreement : public Agreement {
 protected:
  void SetUp() override {
    Agreement::SetUp();
    if (IsSkipped()) return;
    for (const char* text : {"100.64.0.1/32", "fd64::1/128 nodad"}) ip(fmt::format("addr add {} dev lo", text));
    EXPECT_EQ(run({"nft", "-f", "-"}, kOnlyProbes).status, 0);
    v4_.reset(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    v6_.reset(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    ASSERT_TRUE(v4_ && v6_);
  }

  void use_loopback_only() {
    ip("route add default dev lo src 100.64.0.1");
    ip("-6 route add default dev lo src fd64::1");
    cable_ = "lo";
  }
  void use_cable() {
    outside_ = make_namespace();
    inside(outside_, [] { EXPECT_EQ(run({"nft", "-f", "-"}, kSilence).status, 0); });
    add_veth("eth0", "or0", outside_);
    ip("link set eth0 up");
    inside(outside_, [] { ip("link set or0 up"); });
    ip("addr add 10.77.0.10/24 dev eth0");
    ip("addr add fd77::10/64 dev eth0 nodad");
    ip("route add default via 10.77.0.2");
    ip("-6 route add default via fd77::2");
    cable_ = "eth0";
  }

  void send(const RawPacket& packet, std::uint32_t mark) {
    const base::Fd& socket = packet.source.is_v4() ? v4_ : v6_;
    ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
    sockaddr_storage to{};
    const unsigned length = base::Endpoint{packet.destination, 0}.to_sockaddr(to);
    const auto bytes = packet.bytes();
    const ssize_t sent =
        ::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), length);
    const bool refused = sent < 0 && (errno == EPERM || errno == EACCES || errno == EHOSTUNREACH);
    EXPECT_TRUE(refused || sent == static_cast<ssize_t>(bytes.size())) << std::strerror(errno);
  }

  Packet facts(const RawPacket& raw, std::uint32_t mark) const {
    Packet packet;
    packet.source = raw.source;
    packet.destination = raw.destination;
    packet.protocol = raw.protocol;
    packet.destination_port = raw.destination_port;
    packet.icmp_type = raw.icmp_type;
    packet.has_ip_options = raw.has_ip_options;
    packet.has_routing_header = raw.has_routing_header;
    packet.mark = mark;
    packet.state = state_of(raw);
    packet.source_is_local = raw.source != kForeign;
    const base::IpAddress& to = raw.destination;
    packet.destination_is_local = in(to, "127.0.0.0/8") || in(to, "::1") || to == address("100.64.0.1") ||
                                  to == address("fd64::1") ||
                                  (cable_ != "lo" && (to == address("10.77.0.10") || to == address("fd77::10")));
    packet.output_interface = packet.destination_is_local ? "lo" : cable_;
    const bool on_link = in(to, "10.77.0.0/24") || in(to, "fd77::/64");
    if (cable_ != "lo") packet.next_hop = on_link ? to : address(to.is_v4() ? "10.77.0.2" : "fd77::2");
    return packet;
  }

  void run_cases(const Ruleset& rules, int count, std::uint32_t seed) {
    program(rules);
    Generator generator(seed);
    const base::IpAddress own = address(cable_ == "lo" ? "fd64::1" : "fd77::10");
    const std::vector sources{address(cable_ == "lo" ? "100.64.0.1" : "10.77.0.10"), own, own, kForeign};
    const std::vector destinations{
        address("127.0.0.1"),   address("127.0.0.11"),     address("100.64.0.1"), address("1.1.1.1"),
        address("10.77.0.2"),   address("10.77.0.10"),     address("10.77.0.50"), address("::1"),
        address("fd64::1"),     address("198.51.100.3"),   address("fd77::2"),    address("fd77::50"),
        address("2001:db8::5"), address("2606:4700::1111")};
    for (int i = 0; i < count && !HasFailure(); ++i) {
      RawPacket packet = generator.packet(sources, destinations);
      packet.hop_limit = kProbeHopLimit;
      const std::uint32_t mark = generator.pick(std::vector<std::uint32_t>{0, 0, 0, 0x51, 0x52});
      expect_agreement(packet, leave(rules_, facts(packet, mark)), mark, [&] { send(packet, mark); });
    }
  }

  const base::IpAddress kForeign = address("2001:db8:9::9");
  base::Fd outside_, v4_, v6_;
  std::string cable_;
};

TEST_F(LocalAgreement, HoldsInTheJail) {
  use_loopback_only();
  Intent intent = intent_for(Topology::kJail);
  intent.endpoints = endpoints();
  run_cases(*open_rules(intent), 150, 3);
  EXPECT_GE(decided_.size(), 3U);
}

TEST_F(LocalAgreement, HoldsInTheSidecar) {
  use_cable();
  Intent intent = intent_for(Topology::kSidecar);
  intent.endpoints = endpoints();
  run_cases(*open_rules(intent), 150, 4);
  EXPECT_GE(decided_.size(), 4U);
}

TEST_F(LocalAgreement, HoldsInTheGuardedNamespace) {
  use_cable();
  Intent intent = intent_for(Topology::kGuard);
  intent.endpoints = endpoints();
  run_cases(*open_rules(intent), 120, 5);
  EXPECT_GE(decided_.size(), 4U);
}

TEST_F(LocalAgreement, HoldsWhereEverythingIsClosed) {
  use_cable();
  for (const Topology topology : {Topology::kJail, Topology::kSidecar, Topology::kGuard}) {
    run_cases(*closed_rules(intent_for(topology)), 30, 6);
  }
}

}  // namespace
}  // namespace soleroute::netrules::testing
