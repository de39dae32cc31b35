// What must hold inside the agents' network, as a list of checks: what should pass does, what should not is refused at
// once. Each check blocks, and may run beside the others on a thread of its own. Sends only to the gateway or to
// addresses reserved for documentation (RFC 5737, RFC 3849).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"

namespace soleroute::gateway::commands {

// A refusal that takes longer is a hang for the client.
inline constexpr std::chrono::milliseconds kRefusedWithin{1000};
inline constexpr std::chrono::milliseconds kAnsweredWithin{5000};

// Whether rules of this namespace itself must refuse what leads around the gateway: that takes milliseconds, the
// other checks up to kAnsweredWithin.
enum class GuardCheck { kNone, kAlso, kOnly };

struct VerifyRequest {
  base::HostName denied;                  // a name that the policy must not allow
  std::vector<base::HostName> allowed;    // names that it must
  std::vector<base::Endpoint> resolvers;  // as the agent's programs know them
  GuardCheck guard = GuardCheck::kNone;
};

struct CheckResult {
  bool ok = false;
  std::string seen;  // what happened, or why it is wrong
};

struct Check {
  std::string name;  // "denied name over HTTP gets the 403 page"
  std::function<CheckResult()> run;
};

// There is no default route, and no resolver answers: a network without a gateway, where every refusal proves nothing.
[[nodiscard]] bool is_without_gateway(const VerifyRequest& request);

[[nodiscard]] std::vector<Check> verify_checks(const VerifyRequest& request);

}  // namespace soleroute::gateway::commands
