// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/context.h"

#include <algorithm>
#include <utility>

#include "gateway/flow/policy_in_force.h"

namespace soleroute::gateway::flow {

void Context::use(std::shared_ptr<const PolicyInForce> policy) {
  in_force = std::move(policy);
  origin_sessions.clear();
}

std::shared_ptr<const policy::Policy> Context::policy_for(const base::IpAddress& client) const {
  return policy::policy_for(in_force->policy(), client);
}

const PolicyView& Context::view_for(const base::IpAddress& client) const {
  return in_force->view_for(client);
}

bool Context::proves_agent(const base::IpAddress& client) const {
  return client.unmapped().is_v4() || in_force->policy()->for_nobody() == nullptr;
}

std::shared_ptr<inspect::OriginSessions> Context::origin_sessions_for(const base::IpAddress& client) {
  auto& sessions = origin_sessions[&in_force->policy()->for_client(client)];
  if (!sessions) sessions = std::make_shared<inspect::OriginSessions>();
  return sessions;
}

bool Context::is_own(const base::IpAddress& address) const {
  return std::ranges::find(own_addresses, address) != own_addresses.end() || names.is_denied(address);
}

}  // namespace soleroute::gateway::flow
