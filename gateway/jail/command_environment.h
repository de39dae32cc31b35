// The environment of a jailed command: the caller's, without what cannot work inside, and with the gateway's page.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
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
  std::vector<std::string> changed_proxies;  // names of those that now name the proxy inside
  std::vector<std::string> closed_files;     // names of the variables that now name /dev/null
};

// A proxy of the caller is out of reach inside: its variables are left out, or name the gateway's own explicit proxy,
// `proxy_inside`, where there is one ("http://10.0.0.1:8080"; empty: none). The gateway's own upstream proxy, whose URL
// may have a password, is left out always.
// `closed`: variables that name a file to write to, which the command must not: they name /dev/null inside, so that a
// script that appends to it does not fail.
[[nodiscard]] CommandEnvironment command_environment(std::vector<std::string> callers, std::string_view proxy_inside,
                                                     std::span<const std::string_view> closed = {});

// Does the value of such a variable mean the explicit proxy inside, which has this port? 0: there is none.
[[nodiscard]] bool is_proxy_inside(std::string_view value, std::uint16_t port);

}  // namespace soleroute::gateway::jail
