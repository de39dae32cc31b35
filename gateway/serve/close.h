// Closes a network namespace and leaves it so: `--close`, for whoever must be sure before the gateway is there.
// Programs rules and opens nothing; a gateway that serves here later takes them over.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/serve/options.h"

namespace soleroute::gateway::serve {

// Where this succeeds, the kernel holds the closed rules of the sidecar: nothing leaves but what never reaches a cable.
[[nodiscard]] base::Status close_namespace(const ServeOptions& options, audit::DecisionLog& log,
                                           audit::Counters& counters);

}  // namespace soleroute::gateway::serve
