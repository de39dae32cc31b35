// Which network a project gets on this machine: one that no interface and no route of it has already.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::gateway::project {

struct UsedNetwork {
  base::Cidr network;
  std::string interface;  // "eth0", "wg0", "br-1f2e…"
};

// "10.1.2.0/24" of "10.1.2".
[[nodiscard]] base::Cidr subnet(std::string_view network);

// The one that `network` ("10.1.2") shares addresses with; the narrowest if there are several.
[[nodiscard]] std::optional<UsedNetwork> conflict(std::string_view network, std::span<const UsedNetwork> used);

// The first candidate of this path without a conflict; where all have one, say with a VPN of 10.0.0.0/8, the first
// whose conflict is wider than a /24: the project's own network is nearer than that, and works.
[[nodiscard]] std::string free_network(std::string_view path, std::span<const UsedNetwork> used);

}  // namespace soleroute::gateway::project
