// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/policy_in_force.h"

#include <algorithm>
#include <utility>

#include "base/web_ports.h"

namespace soleroute::gateway::flow {
namespace {

PolicyView view_of(const policy::Policy& policy) {
  const auto lists_web_port = [](const policy::EndpointView& endpoint) {
    return endpoint.transport == policy::Transport::kTcp &&
           (base::contains(endpoint.ports, base::kHttpPort) || base::contains(endpoint.ports, base::kHttpsPort));
  };
  return {policy_pages(policy), policy.domain_ports(), std::ranges::any_of(policy.endpoints(), lists_web_port)};
}

}  // namespace

PolicyInForce::PolicyInForce(std::shared_ptr<const policy::Policy> policy) : policy_(std::move(policy)) {
  for (const auto* one : policy_->all()) views_.emplace(one, view_of(*one));
  if (const auto* nobodys = policy_->for_nobody()) views_.emplace(nobodys, view_of(*nobodys));
}

const PolicyView& PolicyInForce::view_for(const base::IpAddress& client) const {
  return views_.at(&policy_->for_client(client));
}

}  // namespace soleroute::gateway::flow
