// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/machine_networks.h"

#include <algorithm>
#include <utility>

#include "gateway/netlink/links.h"

namespace soleroute::gateway::project {

base::Result<std::vector<UsedNetwork>> machine_networks() {
  constexpr int kWidest = 8;
  SR_LET(interfaces, netlink::list_interfaces());
  SR_LET(routes, netlink::list_routes());
  std::vector<UsedNetwork> used;
  const auto add = [&](const base::Cidr& network, const netlink::Interface& interface) {
    if (interface.loopback || network.prefix_length() < kWidest) return;
    const auto same = [&](const UsedNetwork& other) {
      return other.network == network && other.interface == interface.name;
    };
    if (std::ranges::none_of(used, same)) used.push_back({network, interface.name});
  };
  for (const auto& interface : *interfaces) {
    for (const auto& address : interface.addresses) add(address.subnet(), interface);
  }
  for (const auto& route : *routes) {
    const auto interface = std::ranges::find(*interfaces, route.interface_index, &netlink::Interface::index);
    if (interface != interfaces->end()) add(route.destination, *interface);
  }
  return used;
}

}  // namespace soleroute::gateway::project
