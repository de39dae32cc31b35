// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/plan_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "base/text.h"

namespace soleroute::netrules::plan {
namespace {

base::Cidr prefix(std::initializer_list<std::uint8_t> v4, int length) {
  std::array<std::uint8_t, 4> bytes{};
  std::ranges::copy(v4, bytes.begin());
  return *base::Cidr::make(base::IpAddress::v4(bytes), length);
}

}  // namespace

Matches joined(Matches matches, const Matches& more) {
  matches.insert(matches.end(), more.begin(), more.end());
  return matches;
}

Rule accept(Matches matches, std::string comment) {
  return {std::move(matches), {Accept{}}, std::move(comment)};
}
Rule turn_back(Matches matches, std::string comment) {
  return {std::move(matches), {Return{}}, std::move(comment)};
}
Rule counted_drop(Matches matches, std::string comment) {
  return {std::move(matches), {Count{}, Drop{}}, std::move(comment)};
}
Rule redirect(Matches matches, std::uint16_t port, std::string comment) {
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

DestinationPorts udp(std::vector<std::uint16_t> ports) {
  return {Protocol::kUdp, port_set(std::move(ports))};
}

namespace {

// What is left of the ranges; single ports that are left go to `singles`.
base::PortRanges without_dns(const base::PortRanges& ranges, std::vector<std::uint16_t>& singles) {
  base::PortRanges left;
  const auto add = [&](int first, int last) {
    const base::PortRange range{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
    if (first == last) singles.push_back(range.first);
    if (first < last) left.push_back(range);
  };
  for (const base::PortRange& range : ranges) {
    if (range.contains(kDns)) {
      add(range.first, kDns - 1);
      add(kDns + 1, range.last);
    } else {
      left.push_back(range);
    }
  }
  return left;
}

}  // namespace

std::vector<EndpointRule> udp_endpoints(const Intent& intent) {
  std::vector<EndpointRule> found;
  if (intent.udp_port == 0 && intent.topology != Topology::kGuard) return found;
  for (EndpointRule rule : intent.endpoints) {
    if (rule.transport != EndpointRule::Transport::kUdp) continue;
    std::erase(rule.ports, kDns);
    rule.ranges = without_dns(rule.ranges, rule.ports);
    if (!rule.ports.empty() || !rule.ranges.empty()) found.push_back(std::move(rule));
  }
  return found;
}

base::Cidr loopback_v4() {
  return prefix({127, 0, 0, 0}, 8);
}
base::Cidr engine_dns() {
  return prefix({127, 0, 0, 11}, 32);
}
base::Cidr loopback_v6() {
  std::array<std::uint8_t, 16> bytes{};
  bytes.back() = 1;
  return *base::Cidr::make(base::IpAddress::v6(bytes), 128);
}

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

namespace {

constexpr const char* kForeignSource = "IPv6 source that is not this namespace's";

// Only an answer of the kernel's own is such a packet: the reset that refuses a connection, sent from the address to
// which the connection was to go.
Rule kernels_resets(Matches matches) {
  return accept(joined(std::move(matches), {ProtocolIs{Protocol::kTcp}, ConnectionState{ConnectionState::kRelated}}));
}
Rule foreign_sources(Matches matches) {
  return counted_drop(joined(std::move(matches), {FamilyIs{base::Family::kV6}, SourceIsNotLocal{}}), kForeignSource);
}

}  // namespace

Chain own_sources() {
  // Before an address is known to be unique, its owner asks from :: (RFC 4862 section 5.4.2, RFC 3590 section 4).
  const base::Cidr unspecified = *base::Cidr::make(base::IpAddress::v6({}), 128);
  return {"sources",
          kSources,
          {kernels_resets({}), neighbours({SourceIn{unspecified}}, link_types_out()), foreign_sources({})}};
}

// What was redirected comes back from the address that its sender had named.
void add_own_sources_on_loopback(Chain& chain) {
  const Matches loopback{InputInterface{"lo"}};
  chain.rules.push_back(accept(joined(loopback, {DestinationWasRedirected{}})));
  chain.rules.push_back(kernels_resets(loopback));
  chain.rules.push_back(foreign_sources(loopback));
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

void add_refusal(const Matches& matches, Chain& chain) {
  chain.rules.push_back({joined(matches, {ProtocolIs{Protocol::kTcp}}), {Count{}, RejectWithReset{}}, {}});
  chain.rules.push_back({matches, {Count{}, RejectAsProhibited{}}, {}});
}

std::string shown(const std::string& comment) {
  std::string text = comment.size() <= kMaxComment ? comment : "..." + comment.substr(comment.size() - kMaxComment + 3);
  text = base::shown_ascii(text, kMaxComment);
  std::ranges::replace_if(text, [](char c) { return c == '"' || c == '\\'; }, '?');
  return text;
}

std::vector<Matches> endpoint_matches(Matches matches, const EndpointRule& endpoint) {
  if (endpoint.cidr && endpoint.cidr->prefix_length() == 0) {
    matches.emplace_back(FamilyIs{endpoint.cidr->address().family()});
  } else if (endpoint.cidr) {
    matches.emplace_back(DestinationIn{*endpoint.cidr});
  }
  const auto protocol = endpoint.transport == EndpointRule::Transport::kUdp ? Protocol::kUdp : Protocol::kTcp;
  std::vector<Matches> all;
  if (!endpoint.ports.empty()) all.push_back(joined(matches, {DestinationPorts{protocol, port_set(endpoint.ports)}}));
  for (const base::PortRange& range : endpoint.ranges) {
    all.push_back(joined(matches, {DestinationPortRange{protocol, range}}));
  }
  return all;
}

void add_dns_capture(const Intent& intent, const Matches& matches, Chain& chain) {
  chain.rules.push_back(redirect(joined(matches, {udp(kDns)}), intent.dns_port));
  chain.rules.push_back(redirect(joined(matches, {tcp({kDns})}), intent.dns_port));
}

namespace {

bool has_port(const EndpointRule& endpoint, std::uint16_t port) {
  return std::ranges::find(endpoint.ports, port) != endpoint.ports.end() ||
         std::ranges::any_of(endpoint.ranges, [port](const base::PortRange& range) { return range.contains(port); });
}

// Of denied names.
std::vector<std::uint16_t> ports_refused_at_once(const Intent& intent) {
  std::vector<std::uint16_t> ports{kPortsWithoutHttp.begin(), kPortsWithoutHttp.end()};
  if (!intent.endpoints_by_proxy) return ports;
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    if (endpoint.cidr) continue;
    std::erase_if(ports, [&](std::uint16_t port) { return has_port(endpoint, port); });
  }
  return ports;
}

}  // namespace

void add_web_capture(const Intent& intent, const Matches& matches, Chain& chain) {
  chain.rules.push_back(redirect(joined(matches, {tcp({kHttp, kHttps})}), intent.redirect_port));
  const auto refused = ports_refused_at_once(intent);
  for (const base::Cidr& network : intent.denied_networks) {  // before endpoints: a refusal at once, whatever they list
    if (refused.empty()) break;
    chain.rules.push_back(accept(joined(matches, {DestinationIn{network}, tcp(refused)}),
                                 "denied names, no HTTP on these ports: refused below"));
  }
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    for (Matches& those : endpoint_matches(matches, endpoint)) {
      chain.rules.push_back(redirect(std::move(those), intent.redirect_port, shown(endpoint.comment)));
    }
  }
  for (const EndpointRule& endpoint : udp_endpoints(intent)) {
    for (Matches& those : endpoint_matches(matches, endpoint)) {
      chain.rules.push_back(redirect(std::move(those), intent.udp_port, shown(endpoint.comment)));
    }
  }
  for (const base::Cidr& network : intent.denied_networks) {
    chain.rules.push_back(redirect(joined(matches, {DestinationIn{network}, ProtocolIs{Protocol::kTcp}}),
                                   intent.redirect_port, "denied names: other ports"));
  }
  if (!intent.capture_all_tcp) return;
  chain.rules.push_back(accept(joined(matches, {DestinationIsLocal{}})));
  chain.rules.push_back(
      redirect(joined(matches, {ProtocolIs{Protocol::kTcp}}), intent.redirect_port, "observed: every other port"));
}

namespace {

// 0, and so none, where nothing is redirected there.
std::uint16_t redirected_udp_port(const Intent& intent) {
  return udp_endpoints(intent).empty() ? std::uint16_t{0} : intent.udp_port;
}

}  // namespace

void add_redirected(const Intent& intent, const Matches& matches, Chain& chain) {
  chain.rules.push_back(
      accept(joined(matches, {DestinationWasRedirected{}, tcp({intent.redirect_port, intent.dns_port})})));
  chain.rules.push_back(
      accept(joined(matches, {DestinationWasRedirected{}, udp({intent.dns_port, redirected_udp_port(intent)})})));
}

}  // namespace soleroute::netrules::plan
