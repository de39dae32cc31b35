// What `mode: observe` changes: a flow that only the policy denies passes all the same, and is logged as denied.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

#include "policy/policy.h"

namespace soleroute::gateway::flow {

inline constexpr std::string_view kObservedDetail = "passed: the policy's mode is observe";

// Never what is wrong in itself: names that disagree, are missing or are none, and whatever is malformed.
[[nodiscard]] inline bool is_observed(const policy::Policy& policy, const policy::Decision& decision) {
  if (policy.mode() != policy::Mode::kObserve || decision.allowed()) return false;
  switch (decision.reason) {
    case policy::Reason::kHostNotAllowed:
    case policy::Reason::kHttpsNotPermitted:
    case policy::Reason::kSchemeNotPermitted:
    case policy::Reason::kNoRuleMatched:
    case policy::Reason::kOverrideHeader:
    case policy::Reason::kInspectionNeeded:
    case policy::Reason::kEndpointNotAllowed:
    case policy::Reason::kEchNotPermitted:
      return true;
    default:
      return false;
  }
}

[[nodiscard]] inline bool may_pass(const policy::Policy& policy, const policy::Decision& decision) {
  return decision.allowed() || is_observed(policy, decision);
}

}  // namespace soleroute::gateway::flow
