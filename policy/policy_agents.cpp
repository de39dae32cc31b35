// Which policy decides for which client.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "policy/policy.h"
#include "policy/policy_data.h"

namespace soleroute::policy {

const Policy& Policy::for_client(const base::IpAddress& client) const {
  if (!agents_) return *this;
  if (const auto agent = agents_->table.find(client)) return *agents_->records[*agent].policy;
  const auto plain = client.unmapped();
  const bool common = plain.is_v4() ? agents_->strangers_v4 : agents_->strangers_v6 && !is_link_local(plain);
  return common ? *this : *agents_->none;
}

std::string_view Policy::agent_name() const {
  return data_->agent_name;
}

std::vector<AgentView> Policy::agents() const {
  std::vector<AgentView> views;
  if (!agents_) return views;
  for (const auto& agent : agents_->records) {
    views.push_back({agent.name, agent.addresses, agent.policy.get(), data_->line(agent.origin)});
  }
  return views;
}

const Policy* Policy::of_agent(std::string_view name) const {
  for (const auto& agent : agents()) {
    if (agent.name == name) return agent.policy;
  }
  return nullptr;
}

const Policy* Policy::for_nobody() const {
  return agents_ ? agents_->none.get() : nullptr;
}

std::vector<const Policy*> Policy::all() const {
  std::vector<const Policy*> policies;
  if (!agents_ || !agents_->only) policies.push_back(this);
  for (const auto& agent : agents()) policies.push_back(agent.policy);
  return policies;
}

std::shared_ptr<const Policy> Policy::without_agents(const std::shared_ptr<const Policy>& policy) {
  if (!policy->agents_) return policy;
  if (policy->agents_->only) return policy->agents_->none;
  return std::make_shared<const Policy>(policy->data_);
}

}  // namespace soleroute::policy
