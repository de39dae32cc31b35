// The networks from which DNS takes an address for each denied name, and how they are chosen. Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::gateway::net {

// An IPv4 /16 and an IPv6 /64. A family without one has no such addresses.
struct DeniedNetworks {
  std::optional<base::Cidr> v4{};
  std::optional<base::Cidr> v6{};

  [[nodiscard]] bool contains(const base::IpAddress& address) const;
  [[nodiscard]] std::vector<base::Cidr> list() const;
  bool operator==(const DeniedNetworks&) const = default;
};

// Of 100.64.0.0/10 (RFC 6598), then 198.18.0.0/15 (RFC 2544), and of a prefix for local use (RFC 4193): the first that
// overlaps none of `taken`; `before` if that does not overlap. Prefixes shorter than an IPv4 /8 or an IPv6 /32 are no
// statement about these networks and are left out. A family of which all is taken has none.
[[nodiscard]] DeniedNetworks choose_denied_networks(std::span<const base::Cidr> taken,
                                                    const DeniedNetworks& before = {});
// All that choose_denied_networks() can choose from, in few prefixes.
[[nodiscard]] std::vector<base::Cidr> denied_network_ranges();

}  // namespace soleroute::gateway::net
