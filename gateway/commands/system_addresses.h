// Names as this machine's own programs resolve them.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::commands {

// By getaddrinfo(3): blocks until it has an answer. Each address once, at least one. Errors: kSystem.
[[nodiscard]] base::Result<std::vector<base::IpAddress>> system_addresses(const std::string& host);

}  // namespace soleroute::gateway::commands
