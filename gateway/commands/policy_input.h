// Where the commands that only read a policy get it from.
// Single-threaded; nothing is kept.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {

// The files, or else `.devcontainer/policy.yaml` or `policy.yaml` here, or else a policy that denies everything; the
// last is said on stderr.
[[nodiscard]] base::Result<std::shared_ptr<const policy::Policy>> load_policy_or_default(
    const std::vector<std::string>& files);

}  // namespace soleroute::gateway::commands
