// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <ranges>
#include <utility>

namespace soleroute::netrules {
namespace {

constexpr std::uint16_t kDns = 53, kHttp = 80, kHttps = 443;

// Before other programs' redirects at the same hook (Docker's of 127.0.0.11 above all): the first to redirect wins.
constexpr std::int32_t kPriorityCapture = kPriorityDstNat - 10;
// Before the chain that refuses: what the queue's program accepts goes on to that chain.
constexpr std::int32_t kPriorityReport = kPriorityFilter - 10;

constexpr BaseChain kCapturePrerouting{ChainType::kNat, Hook::kPrerouting, kPriorityCapture, ChainPolicy::kAccept};
constexpr BaseChain kCaptureOutput{ChainType::kNat, Hook::kOutput, kPriorityCapture, ChainPolicy::kAccept};
constexpr BaseChain kScreen{ChainType::kFilter, Hook::kPrerouting, kPriorityRaw, ChainPolicy::kAccept};
constexpr BaseChain kRefusePrerouting{ChainType::kFilter, Hook::kPrerouting, kPriorityFilter, ChainPolicy::kAccept};
constexpr BaseChain report_at(Hook hook) {
  return {ChainType::kFilter, hook, kPriorityReport, ChainPolicy::kAccept};
}
constexpr BaseChain closed_at(Hook hook) {
  return {ChainType::kFilter, hook, kPriorityFilter, ChainPolicy::kDrop};
}

constexpr std::uint8_t kIcmpEchoRequest = 8;                                                  // RFC 792
constexpr std::uint8_t kMldQuery = 130, kMldReport = 131, kMldDone = 132, kMld2Report = 143;  // RFC 2710, RFC 3810
constexpr std::uint8_t kRouterSolicit = 133, kRouterAdvert = 134, kNeighborSolicit = 135, kNeighborAdvert = 136;
constexpr std::uint8_t kIcmpv6EchoRequest = 128;  // RFC 4443

using Matches = std::vector<Match>;

// --- Pieces that several topologies share ---

Matches joined(Matches matches, const Matches& more) {
  matches.insert(matches.end(), more.begin(), more.end());
  return matches;
}

Rule accept(Matches matches, std::string comment = {}) {
  return {std::move(matches), {Accept{}}, std::move(comment)};
}
Rule turn_back(Matches matches, std::string comment = {}) {
  return {std::move(matches), {Return{}}, std::move(comment)};
}
Rule counted_drop(Matches matches, std::string comment) {
  return {std::move(matches), {Count{}, Drop{}}, std::move(comment)};
}
Rule redirect(Matches matches, std::uint16_t port, std::string comment = {}) {
  return {std::move(matches), {RedirectTo{port}}, std::move(comment)};
}

std::vector<std::uint16_t> port_set(std::vector<std::uint16_t> ports) {
  std::erase(ports, 0);
  std::ranges::sort(ports);
  const auto duplicates = std::ranges::unique(ports);
  ports.erase(duplicates.begin(), duplicates.end());
  return ports;
}
DestinationPorts tcp(std::vector<std::uint16_t> ports) {
  return {Protocol::kTcp, port_set(std::move(ports))};
}
DestinationPorts udp(std::uint16_t port) {
  return {Protocol::kUdp, {port}};
}

base::Cidr prefix(std::initializer_list<std::uint8_t> v4, int length) {
  std::array<std::uint8_t, 4> bytes{};
  std::ranges::copy(v4, bytes.begin());
  return *base::Cidr::make(base::IpAddress::v4(bytes), length);
}
base::Cidr loopback_v4() {
  return prefix({127, 0, 0, 0}, 8);
}
base::Cidr engine_dns() {
  return prefix({127, 0, 0, 11}, 32);
}  // Docker's embedded resolver
base::Cidr loopback_v6() {
  std::array<std::uint8_t, 16> bytes{};
  bytes.back() = 1;
  return *base::Cidr::make(base::IpAddress::v6(bytes), 128);
}

// What keeps a link usable and carries nothing of anybody's choice, as far as the kernel itself sends and answers it.
Rule neighbours(Matches matches, std::vector<std::uint8_t> types) {
  matches.emplace_back(IcmpTypeIs{Protocol::kIcmpv6, std::move(types)});
  return accept(std::move(matches));
}
std::vector<std::uint8_t> link_types_in() {
  return {kMldQuery, kNeighborSolicit, kNeighborAdvert};
}
std::vector<std::uint8_t> link_types_seen() {
  return {kMldQuery, kMldReport, kMldDone, kRouterSolicit, kNeighborSolicit, kNeighborAdvert, kMld2Report};
}
std::vector<std::uint8_t> link_types_out() {
  return {kMldReport, kMldDone, kRouterSolicit, kNeighborSolicit, kNeighborAdvert, kMld2Report};
}

void add_report(const Intent& intent, Hook hook, const Matches& matches, std::string jump_to, Ruleset& ruleset) {
  if (!intent.packet_queue) return;
  Chain chain{fmt::format("report_{}", to_string(hook)), report_at(hook), {}};
  chain.rules.push_back({{}, {Jump{std::move(jump_to)}}, {}});
  const Statement queue =
      intent.native_queue ? Statement(Queue{*intent.packet_queue}) : Statement(CompatQueue{*intent.packet_queue});
  chain.rules.push_back({joined(matches, {WithinRate{kQueuedPerSecond, kQueuedBurst}}), {Count{}, queue}, {}});
  ruleset.chains.push_back(std::move(chain));
}

// At once and with an error that programs understand, instead of a time-out.
void add_refusal(const Matches& matches, Chain& chain) {
  chain.rules.push_back({joined(matches, {ProtocolIs{Protocol::kTcp}}), {Count{}, RejectWithReset{}}, {}});
  chain.rules.push_back({matches, {Count{}, RejectAsProhibited{}}, {}});
}

// Where the item stands, cut and cleaned to what nft can hold: the end of a long path says more than its beginning.
std::string shown(const std::string& comment) {
  std::string text = comment.size() <= kMaxComment ? comment : "..." + comment.substr(comment.size() - kMaxComment + 3);
  const auto plain = [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; };
  std::ranges::replace_if(text, [&](char c) { return !plain(c); }, '?');
  return text;
}

Matches endpoint_matches(Matches matches, const EndpointRule& endpoint) {
  if (endpoint.cidr && endpoint.cidr->prefix_length() == 0) {
    matches.emplace_back(FamilyIs{endpoint.cidr->address().family()});
  } else if (endpoint.cidr) {
    matches.emplace_back(DestinationIn{*endpoint.cidr});
  }
  matches.emplace_back(tcp(endpoint.ports));
  return matches;
}

auto tcp_endpoints(const Intent& intent) {
  return intent.endpoints | std::views::filter([](const EndpointRule& endpoint) {
           return endpoint.transport == EndpointRule::Transport::kTcp;
         });
}

// DNS to whatever resolver, before everything else; then what the gateway inspects.
void add_dns_capture(const Intent& intent, const Matches& matches, Chain& chain) {
  chain.rules.push_back(redirect(joined(matches, {udp(kDns)}), intent.dns_port));
  chain.rules.push_back(redirect(joined(matches, {tcp({kDns})}), intent.dns_port));
}
void add_web_capture(const Intent& intent, const Matches& matches, Chain& chain) {
  chain.rules.push_back(redirect(joined(matches, {tcp({kHttp, kHttps})}), intent.redirect_port));
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    chain.rules.push_back(redirect(endpoint_matches(matches, endpoint), intent.redirect_port, shown(endpoint.comment)));
  }
}

// What was redirected to our listeners; what was sent to them directly has no such connection.
void add_redirected(const Intent& intent, const Matches& matches, Chain& chain) {
  chain.rules.push_back(
      accept(joined(matches, {DestinationWasRedirected{}, tcp({intent.redirect_port, intent.dns_port})})));
  chain.rules.push_back(accept(joined(matches, {DestinationWasRedirected{}, udp(intent.dns_port)})));
}

// --- Router ---

// Before connection tracking: what is refused anyway leaves no trace in it.
Chain router_screen(const Intent& intent) {
  const Match inside = InputInterface{intent.inside_interface};
  std::vector<std::uint16_t> ports{kDns, kHttp, kHttps, intent.explicit_proxy_port};
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    ports.insert(ports.end(), endpoint.ports.begin(), endpoint.ports.end());
  }
  return {"screen",
          kScreen,
          {accept({InputInterface{intent.inside_interface, true}}),
           counted_drop({HasIpOptions{}}, "IP options: source routes and others"),
           counted_drop({HasRoutingHeader{}}, "IPv6 routing header"),
           counted_drop({SourceHasNoRouteBack{}}, "source address that is not inside"),
           accept({tcp(std::move(ports))}),
           accept({udp(kDns)}),
           accept({ProtocolIs{Protocol::kIcmp}}),
           accept({ProtocolIs{Protocol::kIcmpv6}}),
           {{inside}, {Count{}, NoTrack{}}, "refused below: needs no connection entry"}}};
}

Chain router_capture(const Intent& intent) {
  const Matches inside{InputInterface{intent.inside_interface}};
  Chain chain{"capture", kCapturePrerouting, {}};
  add_dns_capture(intent, inside, chain);
  if (intent.explicit_proxy_port != 0) {
    chain.rules.push_back(accept(joined(inside, {DestinationIsLocal{true}, tcp({intent.explicit_proxy_port})})));
  }
  add_web_capture(intent, inside, chain);
  return chain;
}

// Replies to what the gateway itself began, and what its other links need.
void add_router_outside(const Intent& intent, Chain& chain) {
  const Match outside = InputInterface{intent.inside_interface, true};
  chain.rules.push_back(accept({InputInterface{"lo"}}));
  chain.rules.push_back(
      accept({outside, Direction{true}, ConnectionState{ConnectionState::kEstablished | ConnectionState::kRelated}}));
  chain.rules.push_back(neighbours({outside}, {kMldQuery, kRouterAdvert, kNeighborSolicit, kNeighborAdvert}));
}

Chain router_wanted(const Intent& intent) {
  const Matches inside{InputInterface{intent.inside_interface}};
  Chain chain{"wanted", std::nullopt, {}};
  add_redirected(intent, inside, chain);
  if (intent.explicit_proxy_port != 0) {
    chain.rules.push_back(accept(joined(inside, {DestinationIsLocal{true}, tcp({intent.explicit_proxy_port})})));
  }
  chain.rules.push_back(accept(joined(inside, {IcmpTypeIs{Protocol::kIcmp, {kIcmpEchoRequest}}})));
  std::vector<std::uint8_t> types = link_types_in();
  types.insert(types.begin(), kIcmpv6EchoRequest);
  chain.rules.push_back(neighbours(inside, std::move(types)));
  add_router_outside(intent, chain);
  return chain;
}

// What need not be routed: redirected, or for this machine. All else from inside is refused before routing, so that
// nothing depends on forwarding: it stays off, and without these rules nothing passes either. What hosts tell their
// link on their own account is left to the kernel, which has no use for it: refusing it would only fill the log.
Chain router_here(const Intent& intent) {
  const Matches inside{InputInterface{intent.inside_interface}};
  return {"here",
          std::nullopt,
          {accept({InputInterface{intent.inside_interface, true}}), accept({DestinationWasRedirected{}}),
           accept({DestinationIsLocal{}}), neighbours(inside, link_types_seen())}};
}

Ruleset open_router(const Intent& intent) {
  const Matches inside{InputInterface{intent.inside_interface}};
  Ruleset ruleset{intent.table,
                  {router_screen(intent), router_capture(intent), router_here(intent), router_wanted(intent)}};
  add_report(intent, Hook::kPrerouting, inside, "here", ruleset);
  Chain refuse{"refuse", kRefusePrerouting, {{{}, {Jump{"here"}}, {}}}};
  add_refusal(inside, refuse);
  ruleset.chains.push_back(std::move(refuse));
  add_report(intent, Hook::kInput, inside, "wanted", ruleset);
  Chain input{"input", closed_at(Hook::kInput), {{{}, {Jump{"wanted"}}, {}}}};
  add_refusal(inside, input);
  ruleset.chains.push_back(std::move(input));
  ruleset.chains.push_back({"forward", closed_at(Hook::kForward), {}});
  return ruleset;
}

Ruleset closed_router(const Intent& intent) {
  const Match inside = InputInterface{intent.inside_interface};
  Chain screen{"screen", kScreen, {neighbours({inside}, link_types_in()), counted_drop({inside}, "not open yet")}};
  Chain input{"input", closed_at(Hook::kInput), {neighbours({inside}, link_types_in())}};
  add_router_outside(intent, input);
  return {intent.table, {std::move(screen), std::move(input), Chain{"forward", closed_at(Hook::kForward), {}}}};
}

// --- Sidecar and jail: the gateway's listeners are in the same namespace ---

bool shares_namespace_with_gateway(const Intent& intent) {
  return intent.topology == Topology::kSidecar;
}

Chain local_capture(const Intent& intent) {
  Chain chain{"capture", kCaptureOutput, {}};
  if (shares_namespace_with_gateway(intent)) chain.rules.push_back(accept({PacketMark{intent.gateway_mark}}));
  add_dns_capture(intent, {}, chain);
  chain.rules.push_back(accept({DestinationIn{loopback_v4()}}));
  chain.rules.push_back(accept({DestinationIn{loopback_v6()}}));
  if (intent.explicit_proxy_port != 0) {
    chain.rules.push_back(accept({DestinationIsLocal{}, tcp({intent.explicit_proxy_port})}));
  }
  add_web_capture(intent, {}, chain);
  return chain;
}

// The agent's own services on its own addresses; not our listeners, not a resolver that an engine put there.
void add_local_traffic(const Intent& intent, Chain& chain) {
  const std::vector<std::uint16_t> listeners = port_set({intent.redirect_port, intent.dns_port});
  if (!listeners.empty()) chain.rules.push_back(turn_back({tcp(listeners)}));
  if (intent.dns_port != 0) chain.rules.push_back(turn_back({udp(intent.dns_port)}));
  if (shares_namespace_with_gateway(intent)) chain.rules.push_back(turn_back({DestinationIn{engine_dns()}}));
  chain.rules.push_back(accept({DestinationIsLocal{}}));
  if (shares_namespace_with_gateway(intent)) chain.rules.push_back(neighbours({}, link_types_out()));
}

void add_own_traffic(const Intent& intent, Chain& chain) {
  if (!shares_namespace_with_gateway(intent)) return;
  chain.rules.push_back({{PacketMark{intent.gateway_mark}}, {SetConnectionMark{intent.gateway_mark}, Accept{}}, {}});
}

Chain local_wanted(const Intent& intent) {
  Chain chain{"wanted", std::nullopt, {}};
  add_own_traffic(intent, chain);
  add_redirected(intent, {}, chain);
  chain.rules.push_back(accept({OutputInterface{"lo"}, DestinationWasRedirected{}, Direction{true}}));
  add_local_traffic(intent, chain);
  return chain;
}

// The mark on the connection, set by the gateway's first packet, tells its replies from those of older connections.
Chain local_input(const Intent& intent) {
  Chain chain{"input", closed_at(Hook::kInput), {accept({InputInterface{"lo"}})}};
  if (!shares_namespace_with_gateway(intent)) return chain;
  chain.rules.push_back(accept({ConnectionMark{intent.gateway_mark}, Direction{true}}));
  chain.rules.push_back(neighbours({}, {kMldQuery, kRouterAdvert, kNeighborSolicit, kNeighborAdvert}));
  return chain;
}

Ruleset open_local(const Intent& intent) {
  Ruleset ruleset{intent.table, {local_capture(intent), local_wanted(intent)}};
  add_report(intent, Hook::kOutput, {}, "wanted", ruleset);
  Chain output{"output", closed_at(Hook::kOutput), {{{}, {Jump{"wanted"}}, {}}}};
  add_refusal({}, output);
  ruleset.chains.push_back(std::move(output));
  ruleset.chains.push_back(local_input(intent));
  ruleset.chains.push_back({"forward", closed_at(Hook::kForward), {}});
  return ruleset;
}

Ruleset closed_local(const Intent& intent) {
  Chain output{"output", closed_at(Hook::kOutput), {}};
  Chain wanted{"wanted", std::nullopt, {}};
  add_own_traffic(intent, wanted);
  add_local_traffic(intent, wanted);
  output.rules.push_back({{}, {Jump{"wanted"}}, {}});
  return {intent.table,
          {std::move(wanted), std::move(output), local_input(intent), Chain{"forward", closed_at(Hook::kForward), {}}}};
}

// --- Guard: the gateway is the next hop ---

// An engine's resolver answers on 127.0.0.11 and asks on from this namespace, where these rules hold it too.
void add_engine_dns(Chain& chain) {
  const Match resolver = DestinationIn{engine_dns()};
  chain.rules.push_back(accept({resolver, DestinationWasRedirected{}}));
  chain.rules.push_back(accept({resolver, udp(kDns)}));
  chain.rules.push_back(accept({resolver, tcp({kDns})}));
  chain.rules.push_back(turn_back({resolver}));
}

void add_gateway_path(const Intent& intent, const base::IpAddress& gateway, Chain& chain) {
  const Matches through{NextHopIs{gateway}};
  chain.rules.push_back(accept(joined(through, {udp(kDns)})));
  chain.rules.push_back(accept(joined(through, {tcp({kDns, kHttp, kHttps})})));
  const DestinationIn itself{*base::Cidr::make(gateway, gateway.bits())};
  if (intent.explicit_proxy_port != 0) chain.rules.push_back(accept({itself, tcp({intent.explicit_proxy_port})}));
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    if (endpoint.cidr && endpoint.cidr->address().family() != gateway.family()) continue;
    Rule rule = accept(endpoint_matches(through, endpoint), shown(endpoint.comment));
    chain.rules.push_back(std::move(rule));
  }
  const IcmpTypeIs echo = gateway.is_v4() ? IcmpTypeIs{Protocol::kIcmp, {kIcmpEchoRequest}}
                                          : IcmpTypeIs{Protocol::kIcmpv6, {kIcmpv6EchoRequest}};
  chain.rules.push_back(accept({itself, echo}));
}

Chain guard_input() {
  return {"input",
          closed_at(Hook::kInput),
          {accept({InputInterface{"lo"}}),
           accept({Direction{true}, ConnectionState{ConnectionState::kEstablished | ConnectionState::kRelated}}),
           neighbours({}, link_types_in())}};
}

Ruleset open_guard(const Intent& intent) {
  Chain wanted{"wanted", std::nullopt, {}};
  add_engine_dns(wanted);
  wanted.rules.push_back(accept({DestinationIsLocal{}}));
  for (const base::IpAddress& gateway : intent.gateway_addresses) add_gateway_path(intent, gateway, wanted);
  wanted.rules.push_back(neighbours({}, link_types_out()));
  Ruleset ruleset{intent.table, {std::move(wanted)}};
  add_report(intent, Hook::kOutput, {}, "wanted", ruleset);
  Chain output{"output", closed_at(Hook::kOutput), {{{}, {Jump{"wanted"}}, {}}}};
  add_refusal({}, output);
  ruleset.chains.push_back(std::move(output));
  ruleset.chains.push_back(guard_input());
  ruleset.chains.push_back({"forward", closed_at(Hook::kForward), {}});
  return ruleset;
}

Ruleset closed_guard(const Intent& intent) {
  Chain output{"output", closed_at(Hook::kOutput), {}};
  output.rules.push_back(counted_drop({DestinationIn{engine_dns()}}, "not open yet"));
  output.rules.push_back(accept({DestinationIsLocal{}}));
  output.rules.push_back(neighbours({}, link_types_out()));
  Chain input{"input", closed_at(Hook::kInput), {accept({InputInterface{"lo"}}), neighbours({}, link_types_in())}};
  return {intent.table, {std::move(output), std::move(input), Chain{"forward", closed_at(Hook::kForward), {}}}};
}

// --- What an intent must say ---

std::string intent_fault(const Intent& intent) {
  if (intent.topology == Topology::kRouter && intent.inside_interface.empty())
    return "the inside interface is not named";
  if (intent.topology == Topology::kRouter && intent.inside_interface == "lo")
    return "the inside interface cannot be lo";
  if (intent.topology == Topology::kSidecar && intent.gateway_mark == 0) return "the gateway's own mark is not set";
  if (intent.topology == Topology::kGuard && intent.gateway_addresses.empty())
    return "the gateway's address is not given";
  return {};
}

std::string listener_fault(const Intent& intent) {
  if (intent.topology == Topology::kGuard) return {};
  const std::uint16_t redirected = intent.redirect_port, dns = intent.dns_port, proxy = intent.explicit_proxy_port;
  if (redirected == 0 || dns == 0) return "a listening port is not known yet";
  if (redirected == dns || redirected == proxy || dns == proxy) return "two listeners have the same port";
  for (const std::uint16_t taken : {kHttp, kHttps, kDns}) {
    if (proxy == taken) return "the explicit proxy cannot have port 53, 80 or 443, which are redirected";
  }
  return {};
}

base::Result<Ruleset> checked(Ruleset ruleset) {
  if (auto status = validate(ruleset); !status) return std::unexpected(status.error());
  return ruleset;
}

}  // namespace

base::Result<Ruleset> closed_rules(const Intent& intent) {
  if (const std::string fault = intent_fault(intent); !fault.empty()) return base::system_error("no rules: " + fault);
  switch (intent.topology) {
    case Topology::kRouter:
      return checked(closed_router(intent));
    case Topology::kSidecar:
    case Topology::kJail:
      return checked(closed_local(intent));
    case Topology::kGuard:
      return checked(closed_guard(intent));
  }
  return base::system_error("no rules: unknown topology");
}

base::Result<Ruleset> open_rules(const Intent& intent) {
  if (const std::string fault = intent_fault(intent); !fault.empty()) return base::system_error("no rules: " + fault);
  if (const std::string fault = listener_fault(intent); !fault.empty()) return base::system_error("no rules: " + fault);
  switch (intent.topology) {
    case Topology::kRouter:
      return checked(open_router(intent));
    case Topology::kSidecar:
    case Topology::kJail:
      return checked(open_local(intent));
    case Topology::kGuard:
      return checked(open_guard(intent));
  }
  return base::system_error("no rules: unknown topology");
}

}  // namespace soleroute::netrules
