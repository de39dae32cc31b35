// What all layers say under `agents:`, agent by agent.
// Plain values; borrows the documents.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "policy/agent_table.h"
#include "policy/policy_document.h"
#include "policy/rule.h"

namespace soleroute::policy {

struct LayerOfAgent {
  const PolicyDocument* policy = nullptr;
  std::uint32_t file = 0;
};

struct MergedAgent {
  std::string name;
  Origin origin;  // of its first entry
  bool inherit = false;
  std::vector<base::Cidr> addresses{};
  std::vector<LayerOfAgent> layers{};
};

struct MergedAgents {
  std::vector<MergedAgent> agents{};  // in the order of first mention
  AgentTable table{};                 // by their places in `agents`
  bool only = false;                  // `agents_only`
};

// The texts of the layers, for errors.
struct LayerTexts {
  std::span<const std::string> files{};  // their names
  std::span<const std::string> texts{};
  PolicyFaults* faults = nullptr;
};

// Errors: two agents with one address, an agent without any, too many agents.
[[nodiscard]] base::Result<MergedAgents> merge_agents(std::span<const PolicyDocument> documents,
                                                      const LayerTexts& texts);

}  // namespace soleroute::policy
