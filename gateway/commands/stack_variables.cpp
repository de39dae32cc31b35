// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/stack_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/ascii.h"
#include "base/text.h"

namespace soleroute::gateway::commands {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

bool is_service_name(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return base::is_lower(c) || base::is_digit(c) || c == '-'; });
}

base::Status apply_policy(const StackVariables& from, ServeArguments& to) {
  if (!to.policy.empty()) return {};
  if (!from.policy_path.empty()) {
    to.policy = {from.policy_path};
    return {};
  }
  if (from.active_agent.empty()) return {};
  if (!is_service_name(from.active_agent)) {
    return base::usage_error(fmt::format("AGENTBOX_ACTIVE_AGENT: unknown service '{}'; 'gateway services' lists them",
                                         base::shown(from.active_agent)));
  }
  to.base_service = from.active_agent;
  to.optional_policy = {"/etc/agent-sandbox/policy/user.policy.yaml",
                        "/etc/agent-sandbox/policy/user.agent.policy.yaml",
                        "/etc/agent-sandbox/policy/devcontainer.policy.yaml"};
  return {};
}

base::Status apply_mode(const std::string& proxy_mode, ServeArguments& to) {
  if (proxy_mode.empty() || !to.mode.empty()) return {};
  if (proxy_mode != "enforce" && proxy_mode != "log") {
    return base::usage_error(fmt::format("PROXY_MODE: '{}' is not one of enforce, log", base::shown(proxy_mode)));
  }
  to.mode = proxy_mode == "log" ? "observe" : "enforce";
  return {};
}

}  // namespace

StackVariables stack_variables() {
  return {.policy_path = variable("POLICY_PATH"),
          .proxy_mode = variable("PROXY_MODE"),
          .proxy_log_level = variable("PROXY_LOG_LEVEL"),
          .active_agent = variable("AGENTBOX_ACTIVE_AGENT")};
}

base::Status apply(const StackVariables& variables, ServeArguments& arguments) {
  SR_TRY(apply_policy(variables, arguments));
  if (variables.proxy_log_level == "quiet" && arguments.log == "normal") arguments.log = "quiet";
  return apply_mode(variables.proxy_mode, arguments);
}

}  // namespace soleroute::gateway::commands
