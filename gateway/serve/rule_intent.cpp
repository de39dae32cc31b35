// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/rule_intent.h"

#include <algorithm>
#include <span>
#include <utility>

#include "gateway/net/denied_networks.h"
#include "gateway/queue/packet_log.h"

namespace soleroute::gateway::serve {
namespace {

constexpr std::uint32_t kGatewayMark = 0x534f4c45;

void add_ports(std::span<const base::PortRange> ports, netrules::EndpointRule& rule) {
  for (const base::PortRange& range : ports) {
    if (range.is_single()) {
      rule.ports.push_back(range.first);
    } else {
      rule.ranges.push_back(range);
    }
  }
}

netrules::EndpointRule rule_of(const policy::EndpointView& endpoint) {
  netrules::EndpointRule rule;
  rule.transport = endpoint.transport == policy::Transport::kUdp ? netrules::EndpointRule::Transport::kUdp
                                                                 : netrules::EndpointRule::Transport::kTcp;
  if (endpoint.host.empty()) rule.cidr = endpoint.cidr;
  add_ports(endpoint.ports, rule);
  rule.comment = policy::place_of(endpoint.line);
  return rule;
}

// An agent that inherits has the endpoints of the common policy too: once is enough.
void add_endpoint(netrules::EndpointRule rule, netrules::Intent& intent) {
  if (std::ranges::find(intent.endpoints, rule) == intent.endpoints.end()) intent.endpoints.push_back(std::move(rule));
}

}  // namespace

std::uint32_t gateway_mark(const ServeOptions& options) {
  return options.topology == netrules::Topology::kSidecar ? kGatewayMark : 0;
}

netrules::Intent intent_of(const ServeOptions& options, const policy::Policy& policy) {
  netrules::Intent intent;
  intent.topology = options.topology;
  intent.inside_interface = options.inside_interface;
  intent.redirect_port = options.listen_port;
  intent.explicit_proxy_port = options.explicit_proxy_port;
  intent.gateway_mark = gateway_mark(options);
  const bool shared = options.topology == netrules::Topology::kSidecar;
  if (shared && options.metrics) intent.metrics_port = options.metrics->port;
  intent.packet_queue = queue::kPacketQueue;
  base::PortRanges domain_ports;
  for (const auto* one : policy.all()) {  // what the rules let in is decided for each client
    for (const auto& endpoint : one->endpoints()) add_endpoint(rule_of(endpoint), intent);
    const auto ports = one->domain_ports();
    domain_ports.insert(domain_ports.end(), ports.begin(), ports.end());
    intent.capture_all_tcp = intent.capture_all_tcp || one->mode() == policy::Mode::kObserve;
  }
  if (!domain_ports.empty()) {
    netrules::EndpointRule rule;
    rule.comment = "ports of domains";
    add_ports(base::normalised(std::move(domain_ports)), rule);
    intent.endpoints.push_back(std::move(rule));
  }
  if (options.topology == netrules::Topology::kGuard) intent.denied_networks = net::denied_network_ranges();
  intent.endpoints_by_proxy = options.upstream_proxy.has_value();
  return intent;
}

}  // namespace soleroute::gateway::serve
