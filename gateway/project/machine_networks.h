// The networks that this machine's interfaces and routes lead to.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/result.h"
#include "gateway/project/free_network.h"

namespace soleroute::gateway::project {

// Of the calling thread's network namespace, without loopback. Nor routes wider than a /8: the halves of everything
// that a VPN adds in place of a default route are no network that somebody wants to reach.
[[nodiscard]] base::Result<std::vector<UsedNetwork>> machine_networks();

}  // namespace soleroute::gateway::project
