// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <optional>
#include <utility>

#include "gateway/audit/decision_record.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/refusal.h"
#include "gateway/ingress/entrances.h"
#include "policy/host_service.h"
#include "policy/observe.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;

// What is asked about one connection; asked again after a reload, so it owns what it names.
struct EndpointQuery {
  base::IpAddress client;
  base::Endpoint destination;
  std::vector<base::HostName> names;  // whose answers, given by this gateway, held the destination
  // The destination is the gateway, standing in for a loopback address or for the host.
  bool to_stand_in = false;
  bool to_host = false;                         // it is the host's own address, which the client knows from elsewhere
  std::optional<base::IpAddress> translated{};  // what a NAT64 translator makes of the destination

  [[nodiscard]] policy::FlowFacts facts() const;
  [[nodiscard]] policy::Decision ask(const policy::Policy& policy) const;
};

policy::FlowFacts EndpointQuery::facts() const {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kPacket;
  facts.client = client;
  facts.original_destination = destination;
  facts.translated = translated;
  facts.port = destination.port;
  facts.resolved_names = names;
  return facts;
}

policy::Decision EndpointQuery::ask(const policy::Policy& policy) const {
  auto asked = facts();
  if (!to_stand_in) {
    const auto by_address = policy.decide(asked);
    if (by_address.allowed() || !to_host) return by_address;
  }
  // The address says nothing then: each name it stood in for is asked about as if it had been named.
  asked.phase = policy::Phase::kConnect;
  policy::Decision decision;
  for (const auto& name : names) {
    asked.host = name;
    decision = policy.decide(asked);
    if (decision.allowed() && decision.reason == policy::Reason::kEndpointAllowed) return decision;
  }
  decision.action = policy::Action::kDeny;
  decision.reason = policy::Reason::kEndpointNotAllowed;
  return decision;
}

EndpointQuery query_of(const flow::Context& context, const flow::ClientConnection& client) {
  const auto& address = client.original_destination.address;
  EndpointQuery query{client.peer.address, client.original_destination, context.names.names_of(address),
                      context.is_own(address), context.connector.is_host(address)};
  query.translated = context.connector.translated(address);
  // Known without a look-up: a client may have asked before the gateway started, or have the host's address otherwise.
  const bool may_be_host = query.to_host || (query.to_stand_in && !context.names.is_denied(address));
  if (!may_be_host) return query;
  const auto& host_names = policy::host_service_names();
  query.names.insert(query.names.end(), host_names.begin(), host_names.end());
  return query;
}

// An address that nothing names passes in observe mode if it is public, and nobody's here.
bool is_observed_address(const flow::Context& context, const policy::Policy& policy, const EndpointQuery& query,
                         const policy::Decision& decision) {
  return policy::is_observed(policy, decision) && !query.to_stand_in &&
         context.connector.may_dial(query.destination.address);
}

void log_passed(flow::Context& context, const EndpointQuery& query, const policy::Decision& decision) {
  auto record = audit::record_of(query.facts(), decision);
  record.phase = policy::Phase::kConnect;
  record.host = decision.matched_host;
  audit::set_passed(record, decision);
  const auto name = context.names.looked_up_as(query.client, query.destination.address);
  if (record.observed && name) record.host = name->text();
  audit::write(context.log, context.counters, record);
}

void refuse_endpoint(flow::Context& context, flow::ClientConnection& client, const policy::Decision& decision,
                     policy::Reason reason, std::string detail) {
  const auto& destination = client.original_destination;
  const auto name = context.names.looked_up_as(client.peer.address, destination.address);
  if (context.is_own(destination.address)) {
    detail.append(detail.empty() ? "" : ", ").append(audit::kOwnAddress);  // the address says nothing then
  }
  const flow::Refusal refusal{.phase = policy::Phase::kConnect,
                              .reason = reason,
                              .host = name ? name->text() : "",
                              .detail = std::move(detail),
                              .matched_host = std::string(decision.matched_host),
                              .rule = decision.rule,
                              .refused_address = decision.refused_address};
  flow::log_refusal(context, client, refusal);
  client.stream->reset();
}

// Names that endpoints of this port have, for a connection to an address that no answer gave: it may be older than this
// gateway, or come from a file. They are few, and looked up for it.
std::vector<base::HostName> worth_a_lookup(const flow::Context& context, const policy::Policy& policy,
                                           const EndpointQuery& query, const policy::Decision& decision) {
  std::vector<base::HostName> names;
  const bool unknown = decision.reason == policy::Reason::kEndpointNotAllowed && !query.to_stand_in;
  if (!unknown || context.endpoint_lookups == nullptr) return names;
  for (const auto& endpoint : policy.endpoints()) {
    const bool tcp = endpoint.transport == policy::Transport::kTcp;
    const bool by_dns = !endpoint.host.empty() && !policy::is_host_service_name(endpoint.host);
    if (!tcp || !by_dns || !std::ranges::binary_search(endpoint.ports, query.destination.port)) continue;
    if (auto name = base::HostName::parse(endpoint.host)) names.push_back(std::move(*name));
  }
  return names;
}

}  // namespace

bool is_endpoint(const flow::Context& context, const flow::ClientConnection& client) {
  return query_of(context, client).ask(*context.policy).allowed();
}

asio::awaitable<flow::TunnelPtr> serve_endpoint(flow::Context& context, flow::ClientConnection client) {
  auto snapshot = context.policy;  // the decision borrows from it
  EndpointQuery query = query_of(context, client);
  auto decision = query.ask(*snapshot);
  if (auto names = worth_a_lookup(context, *snapshot, query, decision); !names.empty()) {
    co_await context.endpoint_lookups->look_up(std::move(names), query.client);
    snapshot = context.policy;
    query = query_of(context, client);
    decision = query.ask(*snapshot);
  }
  const bool passes = decision.allowed() || is_observed_address(context, *snapshot, query, decision);
  if (!passes) {
    refuse_endpoint(context, client, decision, decision.reason, {});
    co_return nullptr;
  }
  auto parsed = base::HostName::parse(decision.matched_host);
  auto name = parsed ? std::optional(std::move(*parsed)) : std::nullopt;
  auto dialled = co_await context.connector.dial_endpoint(decision, std::move(name), query.destination, query.client);
  if (!dialled) {
    ++context.counters.upstream_failures;
    decision.refused_address = dialled.error().refused_address;
    refuse_endpoint(context, client, decision, dialled.error().reason, dialled.error().message);
    co_return nullptr;
  }
  log_passed(context, query, decision);
  dialled->stream->account_to(client.stream->buffers());
  auto still_allowed = [query = std::move(query)](const policy::Policy& policy) {
    return policy::may_pass(policy, query.ask(policy));
  };
  co_return flow::open_tunnel(context, std::move(client.stream), std::move(dialled->stream), std::move(still_allowed));
}

}  // namespace soleroute::gateway::ingress
