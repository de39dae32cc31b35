// Serving in a network namespace: the order of events of docs/architecture.md, from closed rules to
// closed rules.
// Runs on the calling thread until a signal ends it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/serve/options.h"

namespace soleroute::gateway::serve {

// Returns after SIGTERM or SIGINT, with the closed rules standing. Before the closed rules are programmed an error
// leaves everything untouched (kUsage: policy or options; kSystem: what the kernel or the network lacks); after that,
// an error leaves the network closed.
[[nodiscard]] base::Status serve(const ServeOptions& options, audit::DecisionLog& log, audit::Counters& counters);

// Closes a network namespace and leaves it so: `--close`, for whoever must be sure before the gateway is there.
// Programs rules and opens nothing; a gateway that serves here later takes them over. Where this succeeds, the kernel
// holds the closed rules of the sidecar: nothing leaves but what never reaches a cable.
[[nodiscard]] base::Status close_namespace(const ServeOptions& options, audit::DecisionLog& log,
                                           audit::Counters& counters);

}  // namespace soleroute::gateway::serve
