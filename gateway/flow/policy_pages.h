// What gateway.internal says of one policy: rendered once, when the policy is put in force, and shared by all workers
// and all answers. Immutable.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>

#include "policy/policy.h"

namespace soleroute::gateway::flow {

struct PolicyPages {
  std::string in_short;  // for the home page
  std::shared_ptr<const std::string> text;
  std::shared_ptr<const std::string> json;
};

// Takes time in proportion to the policy (100,000 names: half a second): not for a worker's thread while it serves.
[[nodiscard]] std::shared_ptr<const PolicyPages> policy_pages(const policy::Policy& policy);

}  // namespace soleroute::gateway::flow
