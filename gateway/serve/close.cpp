// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/close.h"

#include "gateway/host/policy_files.h"
#include "gateway/serve/rule_intent.h"
#include "gateway/serve/rule_reconciler.h"
#include "netrules/kernel.h"

namespace soleroute::gateway::serve {

base::Status close_namespace(const ServeOptions& options, audit::DecisionLog& log, audit::Counters& /*counters*/) {
  const auto nothing = host::load_policy({});  // closed is closed, whatever the policy allows
  if (!nothing) return std::unexpected(nothing.error());
  RuleReconciler rules(netrules::make_kernel(), log, true);
  if (auto probed = rules.probe(); !probed) return probed;
  if (auto closed = rules.program(netrules::closed_rules(intent_of(options, **nothing)), "closed"); !closed) {
    return closed;
  }
  return rules.verify();
}

}  // namespace soleroute::gateway::serve
