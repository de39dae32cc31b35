// host.gateway.internal while serving: which machine it is, and which ports a policy cannot list on it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/flow/host_services.h"
#include "gateway/host/host_address.h"
#include "gateway/net/listen.h"
#include "gateway/serve/options.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

// /etc/hosts; empty in a sidecar: engines give all containers of one network namespace the same file, and the agent may
// write it.
[[nodiscard]] std::string trusted_hosts_file(const ServeOptions& options);
[[nodiscard]] host::HostAddress find_host(const ServeOptions& options);
// For the log.
[[nodiscard]] std::string describe_host(const host::HostAddress& host);
// TCP ports of this gateway: redirected connections, DNS, explicit proxy, metrics. Where the host is another machine,
// the explicit proxy alone, which is at the address that agents use for the host: no address in `host` is loopback or
// in `here`, the addresses of this one.
[[nodiscard]] std::vector<std::uint16_t> own_ports(const ServeOptions& options, const net::ListenPorts& ports,
                                                   std::span<const base::IpAddress> host,
                                                   std::span<const base::IpAddress> here);
[[nodiscard]] bool lists_host_services(const policy::Policy& policy);
// Refuses a policy that lists one of the gateway's own ports on the host.
[[nodiscard]] base::Status check_host_services(const policy::Policy& policy, const flow::HostServices& host);

}  // namespace soleroute::gateway::serve
