// From `--upstream-proxy` to the way that the workers dial by: the password read, TLS towards an https proxy prepared.
// Reads files when called; opens no connection.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/upstream_proxy.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::serve {

// Null without a proxy. `password_file` may be empty. `origin_roots`: what --trust adds to the system's roots.
// `hosts_file` may have the address of the proxy's name; empty: none.
[[nodiscard]] base::Result<std::shared_ptr<const flow::UpstreamRoute>> make_upstream_route(
    std::optional<flow::UpstreamProxy> proxy, const std::string& password_file, const std::string& origin_roots,
    const std::string& hosts_file, const host::FileReader& read = host::read_small_file);

// The addresses of `name` in a text of the form of hosts(5).
[[nodiscard]] std::vector<base::IpAddress> addresses_in_hosts(std::string_view text, const base::HostName& name);

// For the log: "http://proxy.corp.test:3128, directly: corp.test".
[[nodiscard]] std::string describe(const flow::UpstreamProxy& proxy);

}  // namespace soleroute::gateway::serve
