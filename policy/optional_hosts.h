// What a denied flow was for, where the catalog knows that a service in the policy asks for it and works without it.
// Pure functions; they borrow from the policy.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::policy {

struct OptionalUse {
  std::string_view service;  // "gemini"
  std::string_view group;    // "telemetry"
  // Naming the group would allow nothing beyond it. Otherwise the policy allows only part of the service (read-only,
  // or a host that it narrows), and naming the service once more would allow all of it.
  bool can_be_named = false;
};

// Nothing where `decision` allows, denies for another reason than that no entry or rule admits it, or where the group
// admits only some requests of this host and the request is not known.
[[nodiscard]] std::optional<OptionalUse> optional_use(const Policy& policy, const FlowFacts& facts,
                                                      const Decision& decision);

// "optional for gemini (telemetry): works without"
[[nodiscard]] std::string describe(const OptionalUse& use);

// The groups that the policy could name and does not, a line each; empty where there are none.
[[nodiscard]] std::string unused_groups_text(const Policy& policy);

}  // namespace soleroute::policy
