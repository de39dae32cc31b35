// SPDX-License-Identifier: GPL-3.0-or-later
#include <optional>
#include <utility>

#include "base/web_ports.h"
#include "gateway/audit/decision_record.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/h1/session.h"
#include "gateway/http/internal_site.h"
#include "gateway/http/page.h"
#include "gateway/http/refusal_page.h"
#include "gateway/ingress/entrances.h"
#include "gateway/ingress/inspected.h"
#include "policy/observe.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;

constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

// Where a CONNECT leads. Kept for a reload's question.
struct Destination {
  base::IpAddress client;
  std::optional<base::HostName> host;
  std::optional<base::IpAddress> address;
  std::uint16_t port = 0;

  [[nodiscard]] std::string text() const { return host ? host->text() : address ? address->to_string() : ""; }
  [[nodiscard]] policy::FlowFacts facts() const {
    policy::FlowFacts facts;
    facts.phase = policy::Phase::kConnect;
    facts.client = client;
    facts.host = host;
    facts.port = port;
    facts.method = "CONNECT";
    if (!host && address) facts.original_destination = base::Endpoint{*address, port};
    if (port == base::kHttpsPort) facts.scheme = policy::Scheme::kHttps;
    return facts;
  }
};

audit::DecisionRecord record_of(const Destination& to, const policy::Decision& decision) {
  auto record = audit::record_of(to.facts(), decision);
  record.host = to.text();
  record.destination.clear();  // the host says it
  return record;
}

asio::awaitable<void> answer(flow::Context& context, net::Stream& client, audit::DecisionRecord record,
                             http::Page page) {
  record.status = page.status;
  audit::write(context.log, context.counters, record);
  co_await flow::send_and_close(client, http::render(page, false, true));
}

asio::awaitable<void> answer_dial_failure(flow::Context& context, net::Stream& client, const Destination& to,
                                          const policy::Policy& policy, policy::Decision decision,
                                          const flow::DialFailure& failure, http::PageForm form) {
  ++context.counters.upstream_failures;
  if (decision.allowed()) decision.refused_address = failure.refused_address;  // of others, agents are told nothing
  decision.action = policy::Action::kDeny;
  decision.reason = failure.reason;
  auto record = record_of(to, decision);
  record.detail = failure.message;
  auto page = http::dial_failure_page(policy, to.facts(), decision, to.text(), failure, form);
  return answer(context, client, std::move(record), std::move(page));
}

// A tunnel to one of the `endpoints:`: bytes both ways, unseen. The caller keeps what `decision` borrows from.
asio::awaitable<flow::TunnelPtr> connect(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read,
                                         Destination to, const policy::Policy& policy, policy::Decision decision,
                                         http::PageForm form) {
  net::Stream& inner = *client.stream;
  const net::HeldBytes held(inner.buffers(), read.capacity());
  inner.expires_after(http::h1::kBodyIdle);  // dialling has its own time
  const base::Endpoint remote{to.address.value_or(base::IpAddress{}), to.port};
  auto dialled = co_await context.connector.dial_endpoint(decision, to.host, remote, to.client);
  if (!dialled) {
    co_await answer_dial_failure(context, inner, to, policy, decision, dialled.error(), form);
    co_return nullptr;
  }
  auto record = record_of(to, decision);
  record.status = 200;
  audit::set_passed(record, decision);
  audit::write(context.log, context.counters, record);

  dialled->stream->account_to(inner.buffers());
  const auto still_allowed = [to](const policy::Policy& fresh) {
    return policy::may_pass(fresh, fresh.decide(to.facts()));
  };
  auto tunnel = flow::open_tunnel(context, std::move(client.stream), std::move(dialled->stream), still_allowed);
  if (tunnel == nullptr) co_return nullptr;
  tunnel->origin->expires_after(http::h1::kBodyIdle);
  const auto told = co_await inner.write_all(base::as_bytes(kEstablished));
  const auto early = co_await tunnel->origin->write_all(read);
  if (!told || !early) {
    inner.reset();
    co_return nullptr;
  }
  tunnel->already_sent = read.size();
  co_return tunnel;
}

asio::awaitable<flow::TunnelPtr> serve_connect(flow::Context& context, flow::ClientConnection client,
                                               flow::ReadAhead read, http::h1::ConnectAsked asked) {
  const Destination to{client.peer.address, asked.authority.host, asked.authority.address,
                       asked.authority.port.value_or(0)};
  const http::PageForm form{.body = asked.form};
  const auto snapshot = context.policy;  // the decision borrows from it
  auto decision = require_ca(context, snapshot->decide(to.facts()));
  const bool observed_address = to.address && !to.host && context.connector.may_dial(*to.address);
  // Over TLS too, where there is a CA to sign for it, the gateway answers for itself.
  const bool own_name = http::is_own_name(to.host);
  const bool ours = context.inspection && to.port == base::kHttpsPort && own_name;
  if (own_name && to.port != base::kHttpsPort) {  // no endpoint leads to the gateway itself
    decision = {.action = policy::Action::kDeny, .reason = Reason::kEndpointNotAllowed};
  }
  const bool passes = policy::may_pass(*snapshot, decision) && (decision.allowed() || to.host || observed_address);
  if (!passes && !ours) {
    auto page = http::refusal_page(*snapshot, to.facts(), decision, 403, form);
    co_await answer(context, *client.stream, record_of(to, decision), std::move(page));
    co_return nullptr;
  }
  if (!to.host || to.port != base::kHttpsPort) {
    co_return co_await connect(context, std::move(client), std::move(read), to, *snapshot, decision, form);
  }
  // To 443 the tunnel carries TLS for that very name: the ClientHello is read, decided and logged as if redirected.
  client.original_destination = {{}, base::kHttpsPort};
  client.stream->expires_after(flow::kFirstBytesTimeout);
  const auto told = co_await client.stream->write_all(base::as_bytes(kEstablished));
  if (!told) {
    client.stream->reset();
    co_return nullptr;
  }
  const base::HostName name = *to.host;
  co_return co_await serve_tunnelled_tls(context, std::move(client), std::move(read), name);
}

asio::awaitable<flow::TunnelPtr> serve_proxy_client(flow::Context& context, flow::ClientConnection client) {
  client.stream->expires_after(flow::kFirstBytesTimeout);
  std::optional<http::h1::ConnectAsked> asked;
  std::optional<flow::ClientConnection> remaining;
  flow::ReadAhead read;
  {
    http::h1::Session session(context, std::move(client), {}, http::h1::Entrance::kExplicitProxy);
    asked = co_await session.run();
    if (!asked) co_return nullptr;
    read = session.take_received();
    remaining = session.take_client();
  }
  co_return co_await serve_connect(context, std::move(*remaining), std::move(read), std::move(*asked));
}

}  // namespace

asio::awaitable<void> serve_explicit_proxy(flow::Context& context, flow::ClientConnection client) {
  auto tunnel = co_await serve_proxy_client(context, std::move(client));
  co_await flow::run_tunnel(context, std::move(tunnel));
}

}  // namespace soleroute::gateway::ingress
