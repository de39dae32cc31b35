// Which addresses are this machine's own, asked of the kernel: they come and go while the gateway runs.
// Free functions, from any thread, about the network namespace in which that thread asked first.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <span>

#include "base/ip_address.h"

namespace soleroute::gateway::net {

// That an address is somebody else's is believed for so long: three system calls are too many for each answer of DNS.
inline constexpr std::chrono::milliseconds kOtherFor{100};

// Would a connection to it end on this machine? Nothing is sent. True where the kernel cannot be asked for want of a
// descriptor: what is not known is not dialled. Keeps two descriptors for each thread that asks.
[[nodiscard]] bool is_own_address(const base::IpAddress& address);

// Do ranges of a policy mean an address that is this machine's own? Only by that very address, or loopback: a range of
// a network in which the gateway happens to stand is about its neighbours.
[[nodiscard]] bool means_own_address(std::span<const base::Cidr> ranges, const base::IpAddress& address);

}  // namespace soleroute::gateway::net
