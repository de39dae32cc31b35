// The rules that serving with given options intends, for `--dry-run`, the jail and the guard as for serving itself.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "gateway/serve/options.h"
#include "netrules/plan.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

// "SOLE": what marks the gateway's own packets in a shared namespace. 0 elsewhere.
[[nodiscard]] std::uint32_t gateway_mark(const ServeOptions& options);

[[nodiscard]] netrules::Intent intent_of(const ServeOptions& options, const policy::Policy& policy);

}  // namespace soleroute::gateway::serve
