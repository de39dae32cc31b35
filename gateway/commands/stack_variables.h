// The variables that agent-sandbox configures its proxy container with, so that the gateway can take that one's place.
// Each counts only where the gateway's own option and GATEWAY_ variable say nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "gateway/commands/serve_options.h"

namespace soleroute::gateway::commands {

struct StackVariables {
  std::string policy_path;      // POLICY_PATH: the policy file
  std::string proxy_mode;       // PROXY_MODE: enforce or log
  std::string proxy_log_level;  // PROXY_LOG_LEVEL: quiet or normal
  std::string active_agent;  // AGENTBOX_ACTIVE_AGENT: its service, and the layers of that stack, where no file is named
};

[[nodiscard]] StackVariables stack_variables();  // as the environment has them
// Errors are kUsage and name the variable.
[[nodiscard]] base::Status apply(const StackVariables& variables, ServeArguments& arguments);

}  // namespace soleroute::gateway::commands
