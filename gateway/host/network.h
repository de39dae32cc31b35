// The gateway's place in its network: which interface is inside, the claimed address, the default route.
// Speaks to the network namespace of the calling thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/netlink/links.h"

namespace soleroute::gateway::host {

// The named interface, or the one whose subnet holds the (first) claimed address.
[[nodiscard]] base::Result<netlink::Interface> find_inside(const std::vector<netlink::Interface>& interfaces,
                                                           const std::string& name,
                                                           const std::vector<base::InterfaceAddress>& claim);

// Adds the addresses to the inside interface and makes its neighbours know; an address that somebody else answers for
// is an error that says so.
[[nodiscard]] base::Status claim_addresses(const netlink::Interface& inside,
                                           const std::vector<base::InterfaceAddress>& claim);

// A default route through one of our own addresses leads to ourselves (engines before gw_priority make one): it is
// removed, and with `fallback` known, replaced. Returns a line for the log for each thing done.
[[nodiscard]] std::vector<std::string> mend_default_route(const std::vector<netlink::Interface>& interfaces,
                                                          const std::vector<base::InterfaceAddress>& claim,
                                                          const netlink::Interface& inside);

// Every address of this namespace.
[[nodiscard]] std::vector<base::IpAddress> all_addresses(const std::vector<netlink::Interface>& interfaces);

// Where a denied name leads: the claimed addresses; without any, those of one interface or of all. Never loopback: in a
// shared namespace that is the agent's own.
[[nodiscard]] std::vector<base::IpAddress> own_addresses(const std::vector<base::InterfaceAddress>& claim,
                                                         const std::vector<netlink::Interface>& interfaces,
                                                         std::optional<int> interface_index);

// The networks that this machine's routes and addresses lead to, of every table; what cannot be read is left out.
[[nodiscard]] std::vector<base::Cidr> networks_here();

}  // namespace soleroute::gateway::host
