// What a policy is asked about a UDP flow, and where an allowed one leads.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/context.h"
#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::gateway::ingress {

// Asked again after a reload, so it owns what it names.
struct UdpQuery {
  base::IpAddress client;
  base::Endpoint destination;
  std::vector<base::HostName> names;  // whose answers, given by this gateway, held the destination
  bool to_host = false;               // the destination is the gateway, or the host itself

  [[nodiscard]] policy::FlowFacts facts() const;
  [[nodiscard]] policy::Decision ask(const policy::Policy& policy) const;
  // For the log: the name that the policy lists, or else the one that the client looked up.
  [[nodiscard]] std::string name_of(const flow::Context& context, const policy::Decision& decision) const;
};

[[nodiscard]] UdpQuery udp_query(const flow::Context& context, const base::IpAddress& client,
                                 const base::Endpoint& destination);
// Nothing of a denied flow; why not, of an allowed one whose address may not be dialled.
[[nodiscard]] std::expected<base::Endpoint, flow::DialFailure> to_dial(const flow::Context& context,
                                                                       const UdpQuery& query,
                                                                       const policy::Decision& decision);

}  // namespace soleroute::gateway::ingress
