// The names of the machine that the gateway runs on, or of the container engine's: an endpoint of such a name is a
// service of that machine, whatever DNS says of the name.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::policy {

// The one to write in a policy; those of Docker and Podman mean the same.
inline constexpr std::string_view kHostServiceName = "host.gateway.internal";
[[nodiscard]] bool is_host_service_name(std::string_view name);
// By an entry or an endpoint of that very name: a wildcard does not mean the machine.
[[nodiscard]] bool is_host_service(const Decision& decision, std::string_view name);
// The same of a name for which some port is allowed.
[[nodiscard]] bool lists_host_service(const Policy& policy, const Decision& decision, std::string_view name);
// The names of those that a policy may list.
[[nodiscard]] const std::vector<base::HostName>& host_service_names();

}  // namespace soleroute::policy
