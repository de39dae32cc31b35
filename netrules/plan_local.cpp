// SPDX-License-Identifier: GPL-3.0-or-later
#include <utility>

#include "netrules/plan_parts.h"

namespace soleroute::netrules::plan {
namespace {

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

// The agent's own services on its own addresses; not our listeners, our metrics, nor a resolver that an engine put
// there.
void add_local_traffic(const Intent& intent, Chain& chain) {
  const std::vector<std::uint16_t> listeners = port_set({intent.redirect_port, intent.dns_port, intent.metrics_port});
  if (!listeners.empty()) chain.rules.push_back(turn_back({tcp(listeners)}));
  if (intent.dns_port != 0) {
    const std::uint16_t endpoints = udp_endpoints(intent).empty() ? std::uint16_t{0} : intent.udp_port;
    chain.rules.push_back(turn_back({udp({intent.dns_port, endpoints})}));
  }
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
  Chain chain{"input", closed_at(Hook::kInput), {}};
  add_own_sources_on_loopback(chain);
  chain.rules.push_back(accept({InputInterface{"lo"}}));
  if (!shares_namespace_with_gateway(intent)) return chain;
  chain.rules.push_back(accept({ConnectionMark{intent.gateway_mark}, Direction{true}}));
  chain.rules.push_back(neighbours({}, {kMldQuery, kRouterAdvert, kNeighborSolicit, kNeighborAdvert}));
  return chain;
}

}  // namespace

Ruleset open_local(const Intent& intent) {
  Ruleset ruleset{intent.table, {own_sources(), local_capture(intent), local_wanted(intent)}};
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
          {own_sources(), std::move(wanted), std::move(output), local_input(intent),
           Chain{"forward", closed_at(Hook::kForward), {}}}};
}

}  // namespace soleroute::netrules::plan
