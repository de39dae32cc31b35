// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_files.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/rule_intent.h"
#include "gateway/serve/rule_reconciler.h"
#include "gateway/serve/supervisor.h"
#include "netrules/kernel.h"
#include "netrules/plan.h"

namespace soleroute::gateway::serve {

base::Status close_namespace(const ServeOptions& options, audit::DecisionLog& log, audit::Counters& /*counters*/) {
  const auto nothing = host::load_policy({});  // closed is closed, whatever the policy allows
  if (!nothing) return std::unexpected(nothing.error());
  SR_TRY(check_alone(options.control_socket));
  RuleReconciler rules(netrules::make_kernel(), log, true);
  SR_TRY(rules.probe());
  SR_TRY(rules.program(netrules::closed_rules(intent_of(options, **nothing)), "closed"));
  SR_TRY(rules.verify());
  rules.log_what_stays();
  return {};
}

}  // namespace soleroute::gateway::serve
