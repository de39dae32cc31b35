// `gateway guard`: holds the agent's network namespace. Programs the agent's own rules, keeps them, and tells what it
// sees around it; carries no traffic.
// Blocks on the calling thread, in the network namespace that it protects.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/serve/options.h"
#include "netrules/plan.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

struct GuardOptions {
  std::vector<base::IpAddress> gateways;  // as the agent's routes name them: one of each family at most, never none
  std::vector<std::string> policy_files;  // for the ports of `endpoints:`; the rest of the policy is the gateway's
  bool reload_on_change = true;           // of a policy file
  bool set_route = false;                 // make the default route lead there; else the engine does
  std::uint16_t explicit_proxy_port = kDefaultExplicitProxyPort;  // 0: off
  std::vector<std::uint16_t> published_ports{};  // of the agent's servers, for connections from outside
  std::string control_socket = kDefaultControlSocket;
  std::string version{};  // of the program, as 'gateway status' shows it
};

[[nodiscard]] netrules::Intent guard_intent(const GuardOptions& options, const policy::Policy& policy);

// Until SIGTERM or SIGINT. Closed rules stand before anything else, open ones when all is well; SIGHUP reads the policy
// again. Answers `gateway status` on the control socket. On the way out the closed rules are put back. An error where
// the namespace is a dead one: its owner was restarted and has another.
[[nodiscard]] base::Status guard(const GuardOptions& options, audit::DecisionLog& log, const audit::Counters& counters);

}  // namespace soleroute::gateway::serve
