// host.gateway.internal while serving: which machine it is, and which ports a policy cannot list on it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/flow/host_services.h"
#include "gateway/host/host_address.h"
#include "gateway/net/listen.h"
#include "gateway/serve/options.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

[[nodiscard]] host::HostAddress find_host(const ServeOptions& options);
// For the log.
[[nodiscard]] std::string describe_host(const host::HostAddress& host);
// TCP ports of this gateway: redirected connections, DNS, explicit proxy, metrics.
[[nodiscard]] std::vector<std::uint16_t> own_ports(const ServeOptions& options, const net::ListenPorts& ports);
[[nodiscard]] bool lists_host_services(const policy::Policy& policy);
// Refuses a policy that lists one of the gateway's own ports on the host.
[[nodiscard]] base::Status check_host_services(const policy::Policy& policy, const flow::HostServices& host);

}  // namespace soleroute::gateway::serve
