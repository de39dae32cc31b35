// Reads policy files and compiles them: opened once, checked by the open file, read once, those bytes validated.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

inline constexpr std::size_t kMaxPolicyFile = std::size_t{1} << 20;  // DESIGN section 5

// A regular file or a pipe ("/dev/stdin", "<(…)") of at most kMaxPolicyFile bytes. Errors are kUsage and name the file.
[[nodiscard]] base::Result<policy::PolicySource> read_policy_file(const std::string& path);

// Layers in order; none: a policy that denies everything.
[[nodiscard]] base::Result<std::shared_ptr<const policy::Policy>> load_policy(std::span<const std::string> paths);

}  // namespace soleroute::gateway::serve
