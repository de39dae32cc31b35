// Removes the entries of an earlier start from the kernel's connection table: their redirects lead to listeners that
// are gone.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "gateway/audit/decision_log.h"
#include "gateway/net/listen.h"
#include "gateway/netlink/links.h"
#include "gateway/serve/options.h"

namespace soleroute::gateway::serve {

// Once the open rules lead to `now`. `usual`: where an earlier gateway may have listened. `inside`: of a router;
// without addresses elsewhere. A failure is logged.
void forget_earlier_connections(const ServeOptions& options, const net::ListenPorts& now, const net::ListenPorts& usual,
                                const netlink::Interface& inside, const std::vector<netlink::Interface>& interfaces,
                                audit::DecisionLog& log);

}  // namespace soleroute::gateway::serve
