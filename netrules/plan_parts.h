// The pieces that the plans of several topologies are made of: rules, sets of ports, chains that report and refuse.
// Pure. For the plan files alone.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <ranges>
#include <string>
#include <vector>

#include "netrules/plan.h"
#include "netrules/ruleset.h"

namespace soleroute::netrules::plan {

inline constexpr std::uint16_t kDns = 53, kHttp = 80, kHttps = 443;

// Before other programs' redirects at the same hook (Docker's of 127.0.0.11 above all): the first to redirect wins.
inline constexpr std::int32_t kPriorityCapture = kPriorityDstNat - 10;
// Before the chain that refuses: what the queue's program accepts goes on to that chain.
inline constexpr std::int32_t kPriorityReport = kPriorityFilter - 10;

inline constexpr BaseChain kCapturePrerouting{ChainType::kNat, Hook::kPrerouting, kPriorityCapture,
                                              ChainPolicy::kAccept};
inline constexpr BaseChain kCaptureOutput{ChainType::kNat, Hook::kOutput, kPriorityCapture, ChainPolicy::kAccept};
inline constexpr BaseChain kScreen{ChainType::kFilter, Hook::kPrerouting, kPriorityRaw, ChainPolicy::kAccept};
inline constexpr BaseChain kRefusePrerouting{ChainType::kFilter, Hook::kPrerouting, kPriorityFilter,
                                             ChainPolicy::kAccept};
// After connection tracking, whose word on a packet is needed, and before its destination is translated.
inline constexpr BaseChain kSources{ChainType::kFilter, Hook::kOutput, kPriorityMangle, ChainPolicy::kAccept};
inline constexpr BaseChain kAnswers{ChainType::kFilter, Hook::kOutput, kPriorityFilter, ChainPolicy::kAccept};
inline constexpr BaseChain report_at(Hook hook) {
  return {ChainType::kFilter, hook, kPriorityReport, ChainPolicy::kAccept};
}
inline constexpr BaseChain closed_at(Hook hook) {
  return {ChainType::kFilter, hook, kPriorityFilter, ChainPolicy::kDrop};
}

inline constexpr std::uint8_t kIcmpEchoRequest = 8;  // RFC 792
inline constexpr std::uint8_t kMldQuery = 130, kMldReport = 131, kMldDone = 132,
                              kMld2Report = 143;  // RFC 2710, RFC 3810
inline constexpr std::uint8_t kRouterSolicit = 133, kRouterAdvert = 134, kNeighborSolicit = 135, kNeighborAdvert = 136;
inline constexpr std::uint8_t kIcmpv6EchoRequest = 128;  // RFC 4443

using Matches = std::vector<Match>;

[[nodiscard]] Matches joined(Matches matches, const Matches& more);
[[nodiscard]] Rule accept(Matches matches, std::string comment = {});
[[nodiscard]] Rule turn_back(Matches matches, std::string comment = {});
[[nodiscard]] Rule counted_drop(Matches matches, std::string comment);
[[nodiscard]] Rule redirect(Matches matches, std::uint16_t port, std::string comment = {});

// Sorted, unique, without 0.
[[nodiscard]] std::vector<std::uint16_t> port_set(std::vector<std::uint16_t> ports);
[[nodiscard]] DestinationPorts tcp(std::vector<std::uint16_t> ports);
[[nodiscard]] DestinationPorts udp(std::uint16_t port);
[[nodiscard]] DestinationPorts udp(std::vector<std::uint16_t> ports);

[[nodiscard]] base::Cidr loopback_v4();
[[nodiscard]] base::Cidr loopback_v6();
[[nodiscard]] base::Cidr engine_dns();  // 127.0.0.11, Docker's embedded resolver

// What keeps a link usable and carries nothing of anybody's choice, as far as the kernel itself sends and answers it.
[[nodiscard]] Rule neighbours(Matches matches, std::vector<std::uint8_t> types);
[[nodiscard]] std::vector<std::uint8_t> link_types_in();
[[nodiscard]] std::vector<std::uint8_t> link_types_seen();
[[nodiscard]] std::vector<std::uint8_t> link_types_out();

// Refuses what a local program sends from an IPv6 address that is not this namespace's own. The kernel lets any program
// choose one (IPV6_FREEBIND); over IPv4 it does not.
[[nodiscard]] Chain own_sources();
// The same of what arrives on lo, where both ends are in here.
void add_own_sources_on_loopback(Chain& chain);

// Hands the first packets that are not accepted by the chain jumped to, and match, to the queue, if there is one.
void add_report(const Intent& intent, Hook hook, const Matches& matches, std::string jump_to, Ruleset& ruleset);
// At once and with an error that programs understand, instead of a time-out.
void add_refusal(const Matches& matches, Chain& chain);

[[nodiscard]] inline auto tcp_endpoints(const Intent& intent) {
  return intent.endpoints | std::views::filter([](const EndpointRule& endpoint) {
           return endpoint.transport == EndpointRule::Transport::kTcp;
         });
}
// Those of UDP that are forwarded: DNS is the gateway's on every address.
[[nodiscard]] std::vector<EndpointRule> udp_endpoints(const Intent& intent);
// One for its single ports, and one for each range.
[[nodiscard]] std::vector<Matches> endpoint_matches(Matches matches, const EndpointRule& endpoint);
// Where the item stands, cut and cleaned to what nft can hold: the end of a long path says more than its beginning.
[[nodiscard]] std::string shown(const std::string& comment);

// DNS to whatever resolver, before everything else; then what the gateway inspects.
void add_dns_capture(const Intent& intent, const Matches& matches, Chain& chain);
void add_web_capture(const Intent& intent, const Matches& matches, Chain& chain);
// What was redirected to our listeners; what was sent to them directly has no such connection.
void add_redirected(const Intent& intent, const Matches& matches, Chain& chain);

// One pair for each topology; the jail is a sidecar without an exemption.
[[nodiscard]] Ruleset open_router(const Intent& intent);
[[nodiscard]] Ruleset closed_router(const Intent& intent);
[[nodiscard]] Ruleset open_local(const Intent& intent);
[[nodiscard]] Ruleset closed_local(const Intent& intent);
[[nodiscard]] Ruleset open_guard(const Intent& intent);
[[nodiscard]] Ruleset closed_guard(const Intent& intent);

}  // namespace soleroute::netrules::plan
