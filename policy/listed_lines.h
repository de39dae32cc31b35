// The lines of a policy's files that allow something.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "policy/policy.h"

namespace soleroute::policy {

// The lines that decide() names as the rule of an allowed flow, each once, by file and line. Borrows from the policy.
[[nodiscard]] std::vector<SourceLine> allowing_lines(const Policy& policy);

}  // namespace soleroute::policy
