// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/denied_networks.h"

#include <algorithm>

#include "gateway/host/network.h"
#include "gateway/netlink/links.h"

namespace soleroute::gateway::serve {

std::vector<base::Cidr> taken_networks(const policy::Policy& policy, std::span<const dns::Upstream> resolvers) {
  auto taken = host::networks_here();
  for (const auto* one : policy.all()) {
    const auto listed = one->listed_ranges();
    taken.insert(taken.end(), listed.begin(), listed.end());
  }
  for (const auto& resolver : resolvers) {
    const auto& address = resolver.server.address;
    if (const auto only = base::Cidr::make(address, address.bits())) taken.push_back(*only);
  }
  return taken;
}

net::DeniedNetworks serving_networks(const ServeOptions& options, const policy::Policy& policy,
                                     std::span<const dns::Upstream> resolvers, const net::DeniedNetworks& before) {
  if (!options.program_rules || options.proxy_only) return {};
  auto taken = taken_networks(policy, resolvers);
  for (const auto& claimed : options.claim) taken.push_back(claimed.subnet());
  auto networks = net::choose_denied_networks(taken, before);
  if (options.topology != netrules::Topology::kSidecar) return networks;
  const auto routes = netlink::list_default_routes();
  const auto leads_out = [&](base::Family family) {
    return routes && std::ranges::any_of(*routes, [&](const auto& route) { return route.family == family; });
  };
  if (!leads_out(base::Family::kV4)) networks.v4.reset();
  if (!leads_out(base::Family::kV6)) networks.v6.reset();
  return networks;
}

}  // namespace soleroute::gateway::serve
