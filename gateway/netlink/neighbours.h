// The kernel's table of neighbours: which Ethernet address answers for an address.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::gateway::netlink {

struct Neighbour {
  base::IpAddress address;
  std::uint32_t interface_index = 0;
  std::array<std::uint8_t, 6> link{};  // its Ethernet address
};

// Both families, of the network namespace that the caller is in. Needs no privilege. What was read until then, where
// the kernel does not answer within 200 ms.
[[nodiscard]] std::vector<Neighbour> read_neighbours();

}  // namespace soleroute::gateway::netlink
