// A denial or failure in a few plain words, for the summary of a run.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "gateway/audit/decision_log.h"
#include "policy/policy.h"

namespace soleroute::gateway::jail {

// The policy allows it, or did not decide it: the name server, the host or the client failed.
[[nodiscard]] bool is_failure(const audit::DecisionRecord& record);

// A DNS question that no name server answered.
[[nodiscard]] bool has_no_answer(const audit::DecisionRecord& record);

// "not in the policy", "TCP port 5432 is not in the policy". Plain ASCII whatever the record holds; never empty.
[[nodiscard]] std::string why_denied(const audit::DecisionRecord& record);
// The same, and whether the service that asked for it works without it.
[[nodiscard]] std::string why_denied(const audit::DecisionRecord& record, const policy::Policy& policy);

}  // namespace soleroute::gateway::jail
