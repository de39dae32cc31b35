// The allowlist in force as the agent may see it: all layers, services and defaults applied; no file, no secret.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace soleroute::policy {

// A JSON object {mode, domains, endpoints, …} in the words of policy.yaml, so that it is itself a policy that decides
// the same (what only the service catalog can say is {"description": …} instead of a rule). What the gateway adds to
// requests is left out.
[[nodiscard]] std::string effective_json(const Policy& policy);
// The same for people, an entry a line and its rules below it.
[[nodiscard]] std::string effective_text(const Policy& policy);
// "*.example.com", as written, in the order of first mention. Borrowed from the policy.
[[nodiscard]] std::vector<std::string_view> host_patterns(const Policy& policy);

}  // namespace soleroute::policy
