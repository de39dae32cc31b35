// What `mode: observe` changes: a flow that only the policy denies passes all the same, and is logged as denied.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

#include "policy/policy.h"

namespace soleroute::policy {

inline constexpr std::string_view kObservedDetail = "passed: the policy's mode is observe";

// Never what is wrong in itself: names that disagree, are missing or are none, and whatever is malformed. Nor names of
// this network (single labels, .internal) that no entry lists, nor what `deny:` has, nor a connection of which it may
// deny some requests.
[[nodiscard]] inline bool is_observed(const Policy& policy, const Decision& decision) {
  if (policy.mode() != Mode::kObserve || decision.allowed() || decision.local_name || decision.deny_pending)
    return false;
  switch (decision.reason) {
    case Reason::kHostNotAllowed:
    case Reason::kHttpsNotPermitted:
    case Reason::kSchemeNotPermitted:
    case Reason::kNoRuleMatched:
    case Reason::kOverrideHeader:
    case Reason::kInspectionNeeded:
    case Reason::kEndpointNotAllowed:
    case Reason::kEchNotPermitted:
      return true;
    default:
      return false;
  }
}

[[nodiscard]] inline bool may_pass(const Policy& policy, const Decision& decision) {
  return decision.allowed() || is_observed(policy, decision);
}

}  // namespace soleroute::policy
