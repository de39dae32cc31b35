// An interface that leads nowhere: a pair of virtual Ethernet ends, both in this network namespace.
// Speaks to the network namespace of the calling process, with CAP_NET_ADMIN over it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/result.h"

namespace soleroute::gateway::jail {

inline constexpr const char* kVethStub = "eth0";
inline constexpr const char* kVethStubPeer = "nowhere";

// Makes kVethStub and its other end, both up, without IPv6 (whose neighbour discovery would be refused and logged all
// the time). Needs veth in the kernel, or as a module that it loads.
[[nodiscard]] base::Status make_veth_stub();

}  // namespace soleroute::gateway::jail
