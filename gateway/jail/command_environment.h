// The environment of a jailed command: the caller's, without what cannot work inside, and with the gateway's page.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::jail {

// The variable that names the gateway's page, so that an agent can find it.
inline constexpr std::string_view kPageVariable = "SOLEROUTE=http://gateway.internal/";

struct CommandEnvironment {
  std::vector<std::string> variables;        // "NAME=value"
  std::vector<std::string> ignored_proxies;  // names of the variables that were left out and name a proxy
};

// A proxy of the caller is out of reach inside, and nothing needs one; `keep_proxies`: the gateway serves one itself.
[[nodiscard]] CommandEnvironment command_environment(std::vector<std::string> callers, bool keep_proxies);

}  // namespace soleroute::gateway::jail
