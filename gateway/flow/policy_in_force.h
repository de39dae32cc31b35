// The policy that decides now, with what each client's part of it says about itself: worked out once, when it is put in
// force, and shared by all workers. Immutable.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <unordered_map>

#include "base/ip_address.h"
#include "base/port_range.h"
#include "gateway/flow/policy_pages.h"
#include "policy/policy.h"

namespace soleroute::gateway::flow {

// Of the policy that is for one client.
struct PolicyView {
  std::shared_ptr<const PolicyPages> pages;  // what gateway.internal says of it
  base::PortRanges domain_ports;             // besides 80 and 443, that its `domains:` list
  // Does any of its `endpoints:` list port 80 or 443? Rare, so that the common case need not ask for each connection.
  bool web_port_endpoints = false;
};

class PolicyInForce {
 public:
  // Takes time in proportion to the policy: see policy_pages().
  explicit PolicyInForce(std::shared_ptr<const policy::Policy> policy);

  [[nodiscard]] const std::shared_ptr<const policy::Policy>& policy() const { return policy_; }
  [[nodiscard]] const PolicyView& view_for(const base::IpAddress& client) const;

 private:
  std::shared_ptr<const policy::Policy> policy_;
  std::unordered_map<const policy::Policy*, PolicyView> views_;  // one for each that for_client() may return
};

}  // namespace soleroute::gateway::flow
