// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/context.h"

#include <algorithm>
#include <utility>

#include "base/web_ports.h"

namespace soleroute::gateway::flow {

void Context::use(std::shared_ptr<const policy::Policy> snapshot, std::shared_ptr<const PolicyPages> pages) {
  web_port_endpoints = std::ranges::any_of(snapshot->endpoints(), [](const policy::EndpointView& endpoint) {
    return endpoint.transport == policy::Transport::kTcp &&
           (base::contains(endpoint.ports, base::kHttpPort) || base::contains(endpoint.ports, base::kHttpsPort));
  });
  domain_ports = snapshot->domain_ports();
  policy = std::move(snapshot);
  policy_pages = std::move(pages);
  origin_sessions = std::make_shared<inspect::OriginSessions>();
}

bool Context::is_own(const base::IpAddress& address) const {
  return std::ranges::find(own_addresses, address) != own_addresses.end() || names.is_denied(address);
}

}  // namespace soleroute::gateway::flow
