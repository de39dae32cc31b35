// What the kernel's table of connections still says of an earlier gateway, or of the time before any: a flow keeps the
// listener that it was led to for as long as it sends.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/netlink/connections.h"

namespace soleroute::gateway::host {

// Whose connections they are, and where they lead now.
struct AgentSide {
  std::vector<base::Cidr> networks{};         // of the agents, behind a router; empty: they are in this namespace
  std::vector<base::IpAddress> addresses{};   // of this namespace
  std::vector<std::uint16_t> listeners{};     // to which agents are led now
  std::vector<std::uint16_t> known_before{};  // to which an earlier gateway led them, as far as known
};

// Is it an agent's, and led elsewhere than it would be now? DNS that leads to another listener or to none; TCP that
// leads to another listener of a gateway.
[[nodiscard]] bool is_stale(const AgentSide& side, const netlink::TrackedConnection& connection);

}  // namespace soleroute::gateway::host
