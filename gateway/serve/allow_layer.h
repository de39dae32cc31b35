// What `--allow` and `gateway allow` add to a policy.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::serve {

struct PolicyItem {
  std::string list;   // "domains", "endpoints" or "services"
  std::string lines;  // that list with this item, in block style
  std::string flow;   // the item alone, on one line
};

// From a host, "*.host", HOST:PORT, ADDR:PORT, a URL or the name of a service. A URL's path allows that path, or
// everything below it if it ends with a slash. Errors are kUsage and name the item.
[[nodiscard]] base::Result<PolicyItem> parse_policy_item(const std::string& text);

// A layer of policy for the items. Errors are kUsage and name the item.
[[nodiscard]] base::Result<std::string> allow_layer(std::span<const std::string> items);

// The same for `--host-port`: TCP ports of the machine, each under host.gateway.internal.
[[nodiscard]] base::Result<std::string> host_port_layer(std::span<const std::string> ports);

// Two pieces of policy, block style, as one: each heading once, each item once.
[[nodiscard]] std::string merged_lines(std::string_view first, std::string_view second);

}  // namespace soleroute::gateway::serve
