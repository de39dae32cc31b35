// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "base/web_ports.h"
#include "gateway/audit/decision_record.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/refusal.h"
#include "gateway/ingress/entrances.h"
#include "gateway/ingress/first_bytes.h"
#include "gateway/ingress/held_connection.h"
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
  std::optional<base::IpAddress> dialled{};     // where the gateway's own connection leads
  std::optional<base::IpAddress> translated{};  // what a NAT64 translator makes of the destination

  [[nodiscard]] policy::FlowFacts facts() const;
  struct Answer {
    policy::Decision decision;
    std::optional<base::HostName> name{};  // that the endpoint is about; nothing: the address
  };
  [[nodiscard]] Answer ask(const policy::Policy& policy) const;
};

policy::FlowFacts EndpointQuery::facts() const {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kPacket;
  facts.client = client;
  facts.original_destination = destination;
  facts.translated = translated;
  facts.dialled = dialled;
  facts.port = destination.port;
  facts.resolved_names = names;
  return facts;
}

EndpointQuery::Answer EndpointQuery::ask(const policy::Policy& policy) const {
  auto asked = facts();
  Answer answer;
  if (!to_stand_in) {
    answer.decision = policy.decide(asked);
    if (const auto* name = std::exchange(answer.decision.endpoint_name, nullptr)) answer.name = *name;
    if (answer.decision.allowed() || !to_host) return answer;
    if (answer.decision.reason == policy::Reason::kDeniedByPolicy) return answer;
  }
  // The address says nothing then: each name it stood in for is asked about as if it had been named.
  asked.phase = policy::Phase::kConnect;
  for (const auto& name : names) {
    asked.host = name;
    answer.decision = policy.decide(asked);
    answer.name = name;
    const bool endpoint = answer.decision.reason == policy::Reason::kEndpointAllowed;
    if (answer.decision.allowed() && endpoint) return answer;
  }
  answer.decision.action = policy::Action::kDeny;
  if (answer.decision.reason == policy::Reason::kDeniedByPolicy) return answer;
  answer.decision.reason = policy::Reason::kEndpointNotAllowed;
  answer.name.reset();
  return answer;
}

// On the web's ports an address is a name's only for the client that was told so: others share it with names that the
// policy denies.
EndpointQuery query_of(const flow::Context& context, const flow::ClientConnection& client) {
  const auto& to = client.original_destination;
  auto known = base::is_web_port(to.port) ? context.names.told(client.peer.address, to.address)
                                          : context.names.names_of(to.address);
  EndpointQuery query{client.peer.address, to, std::move(known), context.is_own(to.address),
                      context.connector.is_host(to.address)};
  query.translated = context.connector.translated(to.address);
  // Known without a look-up: a client may have asked before the gateway started, or have the host's address otherwise.
  const bool may_be_host = query.to_host || (query.to_stand_in && !context.names.is_denied(to.address));
  if (!may_be_host) return query;
  const auto& host_names = policy::host_service_names();
  query.names.insert(query.names.end(), host_names.begin(), host_names.end());
  return query;
}

// What endpoints say of a port by name: the names that can be looked up, and a wildcard, whose names cannot.
struct NamedEndpoints {
  std::vector<base::HostName> names{};
  std::string wildcard{};
};

NamedEndpoints named_endpoints(const policy::Policy& policy, std::uint16_t port) {
  NamedEndpoints found;
  for (const auto& endpoint : policy.endpoints()) {
    const bool tcp = endpoint.transport == policy::Transport::kTcp;
    const bool by_dns = !endpoint.host.empty() && !policy::is_host_service_name(endpoint.host);
    if (!by_dns || !tcp || !base::contains(endpoint.ports, port)) continue;
    if (auto name = base::HostName::parse(endpoint.host)) {
      found.names.push_back(std::move(*name));
    } else {
      found.wildcard = endpoint.host;
    }
  }
  return found;
}

// No answer gave the address. It may be older than this gateway, or come from a file: names of endpoints are few, and
// looked up for it.
bool is_worth_a_lookup(const flow::Context& context, const EndpointQuery& query, const policy::Decision& decision) {
  return decision.reason == policy::Reason::kEndpointNotAllowed && !query.to_stand_in &&
         context.endpoint_lookups != nullptr && !base::is_web_port(query.destination.port);
}

// In observe mode, an address without a name passes if it is public and not one of this machine.
bool is_observed_address(const flow::Context& context, const policy::Policy& policy, const EndpointQuery& query,
                         const policy::Decision& decision) {
  return policy::is_observed(policy, decision) && !query.to_stand_in &&
         context.connector.may_dial(query.destination.address);
}

void log_passed(flow::Context& context, const EndpointQuery& query, const EndpointQuery::Answer& answer) {
  const auto& decision = answer.decision;
  auto record = audit::record_of(query.facts(), decision);
  record.phase = policy::Phase::kConnect;
  record.host = answer.name ? std::string_view(answer.name->text()) : decision.matched_host;
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

}  // namespace

bool is_endpoint(const flow::Context& context, const flow::ClientConnection& client) {
  return query_of(context, client).ask(*flow::policy_of(context, client)).decision.allowed();
}

asio::awaitable<void> ask_about_port(flow::Context& context, flow::ClientConnection& client) {
  auto record = audit::record_of(query_of(context, client).facts(), {.reason = policy::Reason::kEndpointNotAllowed});
  record.phase = policy::Phase::kConnect;
  const auto name = context.names.looked_up_as(client.peer.address, client.original_destination.address);
  if (!name) co_return;
  record.host = name->text();
  std::function<bool(const policy::Policy&)> passes = [&context, &client](const policy::Policy& policy) {
    return query_of(context, client).ask(policy).decision.allowed();
  };
  static_cast<void>(co_await hold_connection(context, client, std::move(record), std::move(passes)));
}

bool is_shared_with_domain(const flow::Context& context, const flow::ClientConnection& client) {
  const auto query = query_of(context, client);
  auto asked = query.facts();
  asked.phase = policy::Phase::kConnect;
  const auto snapshot = context.policy_for(query.client);
  return std::ranges::any_of(query.names, [&](const base::HostName& name) {
    asked.host = name;
    const auto decision = snapshot->decide(asked);
    return decision.allowed() && decision.reason != policy::Reason::kEndpointAllowed;
  });
}

bool is_endpoint_by_name(const flow::Context& context, const flow::ClientConnection& client) {
  const auto answer = query_of(context, client).ask(*context.policy_for(client.peer.address));
  return answer.decision.allowed() && answer.name;
}

asio::awaitable<flow::TunnelPtr> serve_endpoint(flow::Context& context, flow::ClientConnection client,
                                                flow::ReadAhead read) {
  auto snapshot = flow::policy_of(context, client);  // the decision borrows from it
  EndpointQuery query = query_of(context, client);
  auto answer = query.ask(*snapshot);
  std::string unknown;
  if (is_worth_a_lookup(context, query, answer.decision)) {
    auto named = named_endpoints(*snapshot, query.destination.port);
    co_await context.endpoint_lookups->look_up(std::move(named.names), query.client);
    snapshot = flow::policy_of(context, client);
    query = query_of(context, client);
    answer = query.ask(*snapshot);
    if (!named.wildcard.empty()) unknown = "no DNS answer gave this address for a name of " + named.wildcard;
  }
  auto& decision = answer.decision;
  const bool passes = decision.allowed() || is_observed_address(context, *snapshot, query, decision);
  if (!passes) {
    refuse_endpoint(context, client, decision, decision.reason, std::move(unknown));
    co_return nullptr;
  }
  auto dialled = co_await context.connector.dial_endpoint(decision, answer.name, query.destination, query.client);
  if (!dialled) {
    ++context.counters.upstream_failures;
    decision.refused_address = dialled.error().refused_address;
    refuse_endpoint(context, client, decision, dialled.error().reason, dialled.error().message);
    co_return nullptr;
  }
  // A server that waits for its client is one of HTTP or TLS, and a client that has said nothing could turn to them
  // yet.
  const bool silent = base::is_web_port(query.destination.port) && answer.name && read.empty();
  std::optional<flow::ReadAhead> greeting(std::in_place);
  if (silent) greeting = co_await greeting_of(*dialled->stream);
  if (!greeting) {
    refuse_endpoint(context, client, decision, policy::Reason::kTimedOut, kNeitherSpoke);
    co_return nullptr;
  }
  log_passed(context, query, answer);
  query.dialled = dialled->leads_to;
  dialled->stream->account_to(client.stream->buffers());
  dialled->stream->expires_after(flow::kFirstBytesTimeout);
  if (auto sent = co_await dialled->stream->write_all(read); !sent) {
    client.stream->reset();
    co_return nullptr;
  }
  auto still_allowed = [query = std::move(query), granted = client.granted](const policy::Policy& fresh) {
    return outlives(fresh.for_client(query.client), granted.get(),
                    [&query](const policy::Policy& policy) { return query.ask(policy).decision; });
  };
  auto tunnel =
      flow::open_tunnel(context, std::move(client.stream), std::move(dialled->stream), std::move(still_allowed));
  if (tunnel == nullptr) co_return nullptr;
  tunnel->already_sent = read.size();
  co_return co_await greeted(std::move(tunnel), std::move(*greeting));
}

}  // namespace soleroute::gateway::ingress
