// The environment of a jailed command: the caller's, without what cannot work inside, and with the gateway's page.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::jail {

// The variable that names the gateway's page, so that an agent can find it.
inline constexpr std::string_view kPageVariable = "SOLEROUTE=http://gateway.internal/";

struct CommandEnvironment {
  std::vector<std::string> variables;        // "NAME=value"
  std::vector<std::string> ignored_proxies;  // names of the variables that were left out and name a proxy
  std::vector<std::string> closed_files;     // names of the variables that now name /dev/null
};

// A proxy of the caller is out of reach inside, and nothing needs one; `keep_proxies`: the gateway serves one itself.
// `closed`: variables that name a file to write to, which the command must not: they name /dev/null inside, so that a
// script that appends to it does not fail.
[[nodiscard]] CommandEnvironment command_environment(std::vector<std::string> callers, bool keep_proxies,
                                                     std::span<const std::string_view> closed = {});

}  // namespace soleroute::gateway::jail
