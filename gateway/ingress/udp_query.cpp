// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/udp_query.h"

#include <optional>

#include "policy/host_service.h"

namespace soleroute::gateway::ingress {

policy::FlowFacts UdpQuery::facts() const {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kPacket;
  facts.transport = policy::Transport::kUdp;
  facts.client = client;
  facts.original_destination = destination;
  facts.port = destination.port;
  facts.resolved_names = names;
  return facts;
}

policy::Decision UdpQuery::ask(const policy::Policy& policy) const {
  auto asked = facts();
  auto decision = policy.decide(asked);
  if (decision.allowed() || !to_host || decision.reason == policy::Reason::kDeniedByPolicy) return decision;
  asked.phase = policy::Phase::kConnect;
  for (const auto& name : policy::host_service_names()) {
    asked.host = name;
    auto by_name = policy.decide(asked);
    if (by_name.allowed() && by_name.reason == policy::Reason::kEndpointAllowed) return by_name;
  }
  return decision;
}

std::string UdpQuery::name_of(const flow::Context& context, const policy::Decision& decision) const {
  if (decision.allowed() && base::HostName::parse(decision.matched_host)) return std::string(decision.matched_host);
  const auto name = context.names.looked_up_as(client, destination.address);
  return name ? name->text() : std::string();
}

UdpQuery udp_query(const flow::Context& context, const base::IpAddress& client, const base::Endpoint& destination) {
  const auto& address = destination.address;
  const bool own = context.is_own(address);
  UdpQuery query{
      client, destination, {}, (own && !context.names.is_denied(address)) || context.connector.is_host(address)};
  // The gateway's own address, and that of a denied name, says nothing about where the flow leads.
  if (!own) query.names = context.names.names_of(address);
  return query;
}

std::expected<base::Endpoint, flow::DialFailure> to_dial(const flow::Context& context, const UdpQuery& query,
                                                         const policy::Decision& decision) {
  if (!decision.allowed()) return flow::dial_failed(decision.reason, {});
  if (policy::is_host_service(decision, decision.matched_host))
    return context.connector.host_service(query.destination);
  if (auto refused = context.connector.refused(decision, query.destination, policy::Transport::kUdp)) {
    return std::unexpected(std::move(*refused));
  }
  return query.destination;
}

}  // namespace soleroute::gateway::ingress
