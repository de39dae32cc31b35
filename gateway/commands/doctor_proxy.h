// What `gateway doctor` says of the upstream proxy: can it be reached, and does it want a login?
// Connects and asks when called, for at most a few seconds.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "gateway/commands/doctor_report.h"
#include "gateway/flow/upstream_proxy.h"

namespace soleroute::gateway::commands {

// `password_file` may be empty.
[[nodiscard]] Finding examine_upstream_proxy(flow::UpstreamProxy proxy, const std::string& password_file);

}  // namespace soleroute::gateway::commands
