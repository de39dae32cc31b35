// An agent's file: what `init` and the image build must know of one agent's program.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::project {

inline constexpr std::size_t kMaxAgentFile = std::size_t{64} << 10;

struct AgentPackage {
  std::string npm;      // "@anthropic-ai/claude-code"
  std::string version;  // exact: "2.1.332"

  bool operator==(const AgentPackage&) const = default;
};

struct Agent {
  std::string name;   // "claude": a-z, 0-9 and hyphens, begins with a letter
  std::string title;  // "Claude Code"
  AgentPackage package;
  std::string command;                                           // the program that a person starts
  std::vector<std::string> services;                             // of the policy
  std::vector<std::string> state;                                // folders below /home/dev that a volume keeps
  std::vector<std::pair<std::string, std::string>> environment;  // in the order of the file
  std::vector<std::string> extensions;                           // of VS Code: "publisher.name"
  std::string notes;

  bool operator==(const Agent&) const = default;
};

// May this be an agent's name?
[[nodiscard]] bool is_agent_name(std::string_view text);

// The agent in `text`. `file` names it in errors ("claude.yaml:3:5: …", kUsage); `name` is what `name:` must say: the
// file's name without ".yaml".
[[nodiscard]] base::Result<Agent> read_agent(std::string_view file, std::string_view name, std::string_view text);

// The agent as one JSON object with every key of the format.
[[nodiscard]] std::string agent_json(const Agent& agent);

}  // namespace soleroute::gateway::project
