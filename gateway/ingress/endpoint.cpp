// SPDX-License-Identifier: GPL-3.0-or-later
#include <optional>
#include <utility>

#include "gateway/audit/probe.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/refusal.h"
#include "gateway/ingress/entrances.h"
#include "policy/observe.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;

// What is asked about one connection; asked again after a reload, so it owns what it names.
struct EndpointQuery {
  base::IpAddress client;
  base::Endpoint destination;
  std::vector<base::HostName> names;  // whose answers, given by this gateway, held the destination
  bool to_stand_in = false;           // the destination is the gateway, standing in for a loopback address

  [[nodiscard]] policy::Decision ask(const policy::Policy& policy) const;
};

policy::Decision EndpointQuery::ask(const policy::Policy& policy) const {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kPacket;
  facts.client = client;
  facts.original_destination = destination;
  facts.port = destination.port;
  facts.resolved_names = names;
  if (!to_stand_in) return policy.decide(facts);
  // The address says nothing then: each name it stood in for is asked about as if it had been named.
  facts.phase = policy::Phase::kConnect;
  policy::Decision decision;
  for (const auto& name : names) {
    facts.host = name;
    decision = policy.decide(facts);
    if (decision.allowed() && decision.reason == policy::Reason::kEndpointAllowed) return decision;
  }
  decision.action = policy::Action::kDeny;
  decision.reason = policy::Reason::kEndpointNotAllowed;
  return decision;
}

EndpointQuery question_of(const flow::Context& context, const flow::ClientConnection& client) {
  const auto& address = client.original_destination.address;
  return {client.peer.address, client.original_destination, context.names.names_of(address), context.is_own(address)};
}

// An address that nothing names passes in observe mode if it is public, and nobody's here.
bool is_observed_address(const flow::Context& context, const policy::Policy& policy, const EndpointQuery& question,
                         const policy::Decision& decision) {
  return policy::is_observed(policy, decision) && !question.to_stand_in &&
         context.connector.may_dial(question.destination.address);
}

void log_passed(flow::Context& context, const flow::ClientConnection& client, const policy::Decision& decision) {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kConnect;
  record.allowed = decision.allowed();
  record.observed = !record.allowed;
  if (record.observed) record.detail = policy::kObservedDetail;
  record.reason = policy::to_string(decision.reason);
  record.client = client.peer.address;
  record.host = decision.matched_host;
  const auto& destination = client.original_destination.address;
  if (const auto name = context.names.looked_up_as(client.peer.address, destination); record.observed && name) {
    record.host = name->text();
  }
  record.port = client.original_destination.port;
  record.matched_host = decision.matched_host;
  record.rule = policy::place_of(decision.rule);
  record.destination = client.original_destination.to_string();
  audit::count_decision(context.counters, record);
  context.log.decision(record);
}

asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> dial(flow::Context& context, base::IpAddress client,
                                                                      base::Endpoint destination,
                                                                      policy::Decision decision) {
  auto name = base::HostName::parse(decision.matched_host);
  if (!name) {
    const auto range = base::Cidr::parse(decision.matched_host);
    const auto written = range ? std::optional(*range) : std::nullopt;
    co_return co_await context.connector.dial_address(destination, written, client);
  }
  flow::DialRequest request{std::move(*name),
                            destination.port,
                            {decision.permitted_addresses.begin(), decision.permitted_addresses.end()},
                            destination.address};
  request.client = client;
  co_return co_await context.connector.dial(std::move(request));
}

void refuse(flow::Context& context, flow::ClientConnection& client, const policy::Decision& decision,
            policy::Reason reason, std::string detail) {
  const auto& destination = client.original_destination;
  const auto name = context.names.looked_up_as(client.peer.address, destination.address);
  if (detail.empty() && context.is_own(destination.address)) detail = audit::kOwnAddress;
  const flow::Refusal refusal{.phase = policy::Phase::kConnect,
                              .reason = reason,
                              .host = name ? name->text() : "",
                              .detail = std::move(detail),
                              .matched_host = std::string(decision.matched_host),
                              .rule = decision.rule};
  flow::log_refusal(context, client, refusal);
  client.stream->reset();
}

}  // namespace

bool is_endpoint(const flow::Context& context, const flow::ClientConnection& client) {
  return question_of(context, client).ask(*context.policy).allowed();
}

asio::awaitable<flow::TunnelPtr> serve_endpoint(flow::Context& context, flow::ClientConnection client) {
  const auto snapshot = context.policy;  // the decision borrows from it
  EndpointQuery question = question_of(context, client);
  const auto decision = question.ask(*snapshot);
  const bool passes = decision.allowed() || is_observed_address(context, *snapshot, question, decision);
  if (!passes) {
    refuse(context, client, decision, decision.reason, {});
    co_return nullptr;
  }
  auto dialled = co_await dial(context, question.client, question.destination, decision);
  if (!dialled) {
    ++context.counters.upstream_failures;
    refuse(context, client, decision, dialled.error().reason, dialled.error().message);
    co_return nullptr;
  }
  log_passed(context, client, decision);
  dialled->stream->account_to(client.stream->buffers());
  auto still_allowed = [question = std::move(question)](const policy::Policy& policy) {
    return policy::may_pass(policy, question.ask(policy));
  };
  co_return flow::open_tunnel(context, std::move(client.stream), std::move(dialled->stream), std::move(still_allowed));
}

}  // namespace soleroute::gateway::ingress
