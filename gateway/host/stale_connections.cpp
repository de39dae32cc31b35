// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/stale_connections.h"

#include <netinet/in.h>

#include <algorithm>

#include "policy/address_class.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::uint16_t kDns = 53;

bool is_loopback(const base::IpAddress& address) {
  return policy::address_class(address) == "loopback";
}

bool is_own_here(const AgentSide& side, const base::IpAddress& address) {
  return is_loopback(address) || std::ranges::find(side.addresses, address) != side.addresses.end();
}

bool is_agents(const AgentSide& side, const base::IpAddress& source) {
  if (side.networks.empty()) return is_own_here(side, source);
  return !is_own_here(side, source) &&
         std::ranges::any_of(side.networks, [&](const base::Cidr& network) { return network.contains(source); });
}

bool has(const std::vector<std::uint16_t>& ports, std::uint16_t port) {
  return std::ranges::find(ports, port) != ports.end();
}

}  // namespace

bool is_stale(const AgentSide& side, const netlink::TrackedConnection& connection) {
  const auto& to = connection.destination;
  if (!is_agents(side, connection.source.address)) return false;
  const std::uint16_t leads_to = connection.answers_from.port;
  if (connection.protocol == IPPROTO_UDP)
    return to.port == kDns && !(connection.redirected && has(side.listeners, leads_to));
  return connection.redirected && has(side.known_before, leads_to) && !has(side.listeners, leads_to);
}

}  // namespace soleroute::gateway::host
