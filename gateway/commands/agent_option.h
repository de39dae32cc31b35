// Reads --agent NAME=ADDR[,ADDR…]:FILE.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/serve/options.h"

namespace soleroute::gateway::commands {

// An IPv6 address may stand in brackets. Without them, it is the longest text that is one.
[[nodiscard]] base::Result<std::vector<serve::AgentFile>> parse_agent_files(std::span<const std::string> texts);

}  // namespace soleroute::gateway::commands
