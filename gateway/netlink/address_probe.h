// Whether an address is taken on a link, asked with ARP or neighbour discovery.
// Speaks to the network namespace of the calling thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

// Is somebody else already answering for this address on that link (ARP probe of RFC 5227 section 2.1.1, or a neighbour
// solicitation as in RFC 4862 section 5.4.2)? Takes up to 120 ms when nobody is; the interface must be up.
[[nodiscard]] base::Result<bool> address_in_use(int index, const base::IpAddress& address);

}  // namespace soleroute::gateway::netlink
