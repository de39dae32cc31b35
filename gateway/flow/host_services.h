// Where the machine's services are that a policy may list as host.gateway.internal, and what is never one of them.
// A plain value.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::gateway::flow {

struct HostServices {
  // Tried in order; loopback where the gateway runs on that machine. Empty: it is not known.
  std::vector<base::IpAddress> addresses{};
  // The gateway's listeners, whatever a policy lists.
  std::vector<std::uint16_t> own_ports{};
};

}  // namespace soleroute::gateway::flow
