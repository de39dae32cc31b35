// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/agent_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace soleroute::policy {
namespace {

class AgentMerger {
 public:
  explicit AgentMerger(const LayerTexts& texts) : texts_(texts) {}

  [[nodiscard]] base::Status add(const PolicyDocument& document, std::uint32_t file) {
    out_.only = document.agents_only.value_or(out_.only);
    for (const auto& entry : document.agents) SR_TRY(add(entry, file));
    return {};
  }
  [[nodiscard]] base::Result<MergedAgents> merged() {
    for (const auto& agent : out_.agents) {
      if (!agent.addresses.empty()) continue;
      const Position at{.line = agent.origin.line, .column = 0};
      return error(agent.origin.file, at,
                   fmt::format("agent {} has no addresses: add 'addresses: [...]' to one of its entries", agent.name));
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::unexpected<base::Error> error(std::uint32_t file, Position position, std::string_view what) const {
    return SourceText(texts_.files[file], texts_.texts[file], texts_.faults).error(position, what);
  }

  [[nodiscard]] base::Status add(const AgentEntry& entry, std::uint32_t file) {
    auto known = std::ranges::find(out_.agents, entry.name, &MergedAgent::name);
    if (known == out_.agents.end()) {
      if (out_.agents.size() == kMaxAgents)
        return error(file, entry.position, fmt::format("more than {} agents", kMaxAgents));
      out_.agents.push_back({.name = entry.name, .origin = {file, entry.position.line}});
      known = std::prev(out_.agents.end());
    }
    known->inherit = entry.inherit.value_or(known->inherit);
    known->layers.push_back({entry.policy.get(), file});
    const auto number = static_cast<std::uint32_t>(known - out_.agents.begin());
    for (const auto& address : entry.addresses) {
      if (const auto other = out_.table.add(address.range, number)) {
        return error(
            file, address.position,
            fmt::format("{} is an address of agent {} too", address.range.to_string(), out_.agents[*other].name));
      }
      known->addresses.push_back(address.range);
    }
    return {};
  }

  LayerTexts texts_;
  MergedAgents out_;
};

}  // namespace

base::Result<MergedAgents> merge_agents(std::span<const PolicyDocument> documents, const LayerTexts& texts) {
  AgentMerger merger(texts);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    SR_TRY(merger.add(documents[i], static_cast<std::uint32_t>(i)));
  }
  return merger.merged();
}

}  // namespace soleroute::policy
