// From which networks a gateway takes the addresses of denied names: none that this machine or its policy knows.
// Asks the kernel about the network namespace of the calling thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <vector>

#include "base/ip_address.h"
#include "gateway/dns/upstreams.h"
#include "gateway/net/denied_networks.h"
#include "gateway/serve/options.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

// What is taken: networks of this machine and of the policy, and resolvers.
[[nodiscard]] std::vector<base::Cidr> taken_networks(const policy::Policy& policy,
                                                     std::span<const dns::Upstream> resolvers);
// For serving; `before` is kept where it still overlaps nothing. None without rules, which lead to the gateway what
// goes there; in a sidecar no family that has no default route, because programs would not even try.
[[nodiscard]] net::DeniedNetworks serving_networks(const ServeOptions& options, const policy::Policy& policy,
                                                   std::span<const dns::Upstream> resolvers,
                                                   const net::DeniedNetworks& before = {});

}  // namespace soleroute::gateway::serve
