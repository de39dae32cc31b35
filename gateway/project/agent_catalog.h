// The agents that the program knows: docker/agents/*.yaml, compiled in, and a project's own files.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/project/agent_file.h"

namespace soleroute::gateway::project {

// Sorted.
[[nodiscard]] std::vector<std::string_view> agent_names();

// Of the program's own files. An unknown name is an error with a suggestion.
[[nodiscard]] base::Result<Agent> built_in_agent(std::string_view name);

// The agent in the file at `path`, whose name says the agent's.
[[nodiscard]] base::Result<Agent> agent_from_file(const std::string& path);

}  // namespace soleroute::gateway::project
