// The CA that serving with given options inspects TLS with.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/inspect/inspection.h"
#include "gateway/serve/options.h"

namespace soleroute::gateway::serve {

// Loads or creates it, says so in the log, exports its certificate where the options ask for that, and starts the
// thread that signs: call it after the last fork.
[[nodiscard]] base::Result<std::shared_ptr<const inspect::Inspection>> open_ca(const ServeOptions& options,
                                                                               const std::string& origin_roots,
                                                                               audit::DecisionLog& log);

}  // namespace soleroute::gateway::serve
