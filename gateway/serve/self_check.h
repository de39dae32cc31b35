// The last look before the gateway calls itself healthy: what must be answered is, what must be refused is.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "base/result.h"
#include "gateway/net/listen.h"

namespace soleroute::gateway::serve {

// Over loopback, so outside the agents' rules: a DNS question that must be answered (gateway.internal), and a
// connection that was not redirected, which must be refused. `mark`: SO_MARK in a shared namespace, 0 none. Blocks for
// at most two seconds.
[[nodiscard]] base::Status self_check(const net::ListenPorts& ports, std::uint32_t mark);

}  // namespace soleroute::gateway::serve
