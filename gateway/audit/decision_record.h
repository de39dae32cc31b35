// Decisions as the log and the counters are told of them: from facts and a decision to a record, and from there on.
// Pure functions, but for write().
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "policy/decision.h"

namespace soleroute::gateway::audit {

// In the detail of a denied name that is an allowed one and what may be a search domain: no person may have typed it.
inline constexpr std::string_view kMaybeSearched = "search domain?";

// What was asked: who, where to, and what. A record may be used again for the same connection: it keeps its storage and
// its destination, and is emptied of what the facts do not say.
void set_facts(DecisionRecord& record, const policy::FlowFacts& facts);
// What the policy answered. The detail is kept, but for the header that a denial is about.
void set_decision(DecisionRecord& record, const policy::Decision& decision);
[[nodiscard]] DecisionRecord record_of(const policy::FlowFacts& facts, const policy::Decision& decision);

// The flow passes: observed, and said in the detail, if the decision does not allow it.
void set_passed(DecisionRecord& record, const policy::Decision& decision);

// Counts it and hands it to the log.
void write(DecisionLog& log, Counters& counters, const DecisionRecord& record);

}  // namespace soleroute::gateway::audit
