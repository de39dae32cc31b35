// `gateway --dry-run`: the rules that serving would program, with the policy's view of them as comments.
// Touches nothing: what is shown is computed, and the kernel is asked only in a namespace of a child process.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/commands/command.h"
#include "gateway/serve/options.h"
#include "netrules/kernel.h"
#include "netrules/plan.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {

// An intent that can be shown, and what in it stands for something that only serving will know.
struct ShownIntent {
  netrules::Intent intent;
  std::vector<std::string> notes;  // one sentence each
};

// Completes the intent of serving: examples for the ports that the kernel chooses, for the inside interface and the
// gateway's address where nothing here tells them, and the way to queue that this kernel has.
[[nodiscard]] ShownIntent shown_intent(netrules::Intent intent, const serve::ServeOptions& options,
                                       const base::Result<netrules::Features>& features);

// nft syntax that `nft -c -f -` accepts, or a libnftables JSON object with a further member "soleroute".
[[nodiscard]] base::Result<std::string> dry_run_output(const ShownIntent& shown, const policy::Policy& policy,
                                                       DryRunFormat format);

}  // namespace soleroute::gateway::commands
