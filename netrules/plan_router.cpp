// SPDX-License-Identifier: GPL-3.0-or-later
#include <utility>

#include "netrules/plan_parts.h"

namespace soleroute::netrules::plan {
namespace {

template <typename Endpoints>
void add_ranges(Protocol protocol, Endpoints&& endpoints, Chain& chain) {
  for (const EndpointRule& endpoint : endpoints) {
    for (const base::PortRange& range : endpoint.ranges) {
      chain.rules.push_back(accept({DestinationPortRange{protocol, range}}));
    }
  }
}

// Before connection tracking: what is refused anyway leaves no trace in it.
Chain router_screen(const Intent& intent) {
  const Match inside = InputInterface{intent.inside_interface};
  std::vector<std::uint16_t> ports{kDns, kHttp, kHttps, intent.explicit_proxy_port};
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    ports.insert(ports.end(), endpoint.ports.begin(), endpoint.ports.end());
  }
  std::vector<std::uint16_t> udp_ports{kDns};
  for (const EndpointRule& endpoint : udp_endpoints(intent)) {
    udp_ports.insert(udp_ports.end(), endpoint.ports.begin(), endpoint.ports.end());
  }
  Chain chain{"screen",
              kScreen,
              {accept({InputInterface{intent.inside_interface, true}}),
               counted_drop({HasIpOptions{}}, "IP options: source routes and others"),
               counted_drop({HasRoutingHeader{}}, "IPv6 routing header"),
               counted_drop({SourceHasNoRouteBack{}}, "source address that is not inside"),
               intent.capture_all_tcp ? accept({ProtocolIs{Protocol::kTcp}}) : accept({tcp(std::move(ports))}),
               accept({udp(std::move(udp_ports))}), accept({ProtocolIs{Protocol::kIcmp}}),
               accept({ProtocolIs{Protocol::kIcmpv6}})}};
  add_ranges(Protocol::kUdp, udp_endpoints(intent), chain);
  if (!intent.capture_all_tcp) add_ranges(Protocol::kTcp, tcp_endpoints(intent), chain);
  for (const base::Cidr& network : intent.denied_networks) {
    if (intent.capture_all_tcp) break;
    chain.rules.push_back(accept({DestinationIn{network}, ProtocolIs{Protocol::kTcp}}));
  }
  chain.rules.push_back({{inside}, {Count{}, NoTrack{}}, "refused below: needs no connection entry"});
  return chain;
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

// What the gateway tells agents leaves by their interface or not at all: without the route to them the kernel would
// send it by the default route, in clear. The gateway answers nobody else.
Chain router_answers(const Intent& intent) {
  return {"answers",
          kAnswers,
          {accept({OutputInterface{intent.inside_interface}}), accept({OutputInterface{"lo"}}),
           counted_drop({Direction{true}}, "answers to agents leave only by their interface")}};
}

}  // namespace

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
  ruleset.chains.push_back(router_answers(intent));
  return ruleset;
}

Ruleset closed_router(const Intent& intent) {
  const Match inside = InputInterface{intent.inside_interface};
  Chain screen{"screen", kScreen, {neighbours({inside}, link_types_in()), counted_drop({inside}, "not open yet")}};
  Chain input{"input", closed_at(Hook::kInput), {neighbours({inside}, link_types_in())}};
  add_router_outside(intent, input);
  return {
      intent.table,
      {std::move(screen), std::move(input), Chain{"forward", closed_at(Hook::kForward), {}}, router_answers(intent)}};
}

}  // namespace soleroute::netrules::plan
