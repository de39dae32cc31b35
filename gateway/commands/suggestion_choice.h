// Asks a person on the terminal which suggested lines go into the policy.
// Blocks; single-threaded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/result.h"
#include "gateway/commands/policy_suggestion.h"
#include "policy/policy_edit.h"

namespace soleroute::gateway::commands {

// One question for each line, and for each that was left out. Asks on /dev/tty: a log may come on standard input.
// Errors: kUsage without a terminal. The end of the input, and 'q', choose nothing.
[[nodiscard]] base::Result<std::vector<policy::NewEntry>> choose_lines(const PolicySuggestion& suggestion);

}  // namespace soleroute::gateway::commands
