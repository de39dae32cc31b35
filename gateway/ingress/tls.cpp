// SPDX-License-Identifier: GPL-3.0-or-later

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <expected>
#include <functional>
#include <memory>
#include <optional>

#include "base/text.h"
#include "gateway/audit/decision_record.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/held_requests.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/internal_site.h"
#include "gateway/ingress/denied_port.h"
#include "gateway/ingress/entrances.h"
#include "gateway/ingress/held_connection.h"
#include "gateway/ingress/inspected.h"
#include "gateway/ingress/tls_alert.h"
#include "gateway/ingress/tls_facts.h"
#include "policy/observe.h"
#include "sniffer/tls_client_hello.h"
#include "sniffer/tls_record.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;
using sniffer::ClientHello;

asio::awaitable<void> refuse_with_alert(flow::Context& context, flow::ClientConnection& client, flow::Refusal refusal,
                                        Alert alert) {
  flow::log_refusal(context, client, refusal);
  co_await flow::send_and_close(*client.stream, alert_record(alert));
}

struct WrongHello {
  flow::Refusal refusal;
  Alert alert = Alert::kDecodeError;
};
using HelloOutcome = std::expected<ClientHello, WrongHello>;

WrongHello wrong_hello(const sniffer::Malformed& fault) {
  const Reason reason = fault.too_large ? Reason::kTooLarge : Reason::kMalformed;
  const Alert alert = fault.tls_alert != 0 ? static_cast<Alert>(fault.tls_alert) : Alert::kDecodeError;
  return {flow::Refusal{.reason = reason, .detail = std::string(fault.reason)}, alert};
}

// What the bytes so far are, or how many must be there before it is worth asking again.
std::expected<HelloOutcome, std::size_t> hello_in(const flow::ReadAhead& read) {
  auto parsed = sniffer::parse_client_hello(read);
  if (parsed.complete()) return std::move(parsed).value();
  if (!parsed.malformed()) return std::unexpected(std::max(parsed.missing().at_least, read.size() + 1));
  return HelloOutcome(std::unexpected(wrong_hello(parsed.fault())));
}

// Reads once. Nothing: more is there, and it fits.
asio::awaitable<std::optional<WrongHello>> read_more(net::Stream& stream, flow::ReadAhead& read, net::HeldBytes& held) {
  constexpr std::size_t kReadBytes = 16 << 10;
  const std::size_t before = read.size();
  read.resize(before + kReadBytes);
  const auto count = co_await stream.read_some(std::span(read).subspan(before));
  read.resize(before + (count ? *count : 0));
  held.set(read.capacity());
  const bool fits = read.size() <= kReadBytes || held.has_room();
  if (count && *count > 0 && fits) co_return std::nullopt;
  const bool late = !count && count.error().sys_errno == ETIMEDOUT;
  WrongHello wrong;
  wrong.refusal.reason = !fits ? Reason::kTooLarge : late ? Reason::kTimedOut : Reason::kMalformed;
  wrong.refusal.detail = fits ? "the ClientHello never became whole" : flow::kNoRoom;
  co_return wrong;
}

// Reads until the hello is whole. The deadline set at accept covers all of it.
asio::awaitable<HelloOutcome> rest_of_hello(net::Stream& stream, flow::ReadAhead& read, net::HeldBytes& held,
                                            std::size_t wanted) {
  sniffer::HandshakeRecords records;
  for (;;) {
    while (read.size() < wanted) {  // so it is not whole, and every record in it is the hello's
      if (const auto fault = records.inspect(read)) co_return std::unexpected(wrong_hello(*fault));
      auto wrong = co_await read_more(stream, read, held);
      if (wrong) co_return std::unexpected(std::move(*wrong));
    }
    auto known = hello_in(read);
    if (known) co_return *std::move(known);
    wanted = known.error();
  }
}

bool passes(const policy::Policy& policy, const policy::Decision& decision) {
  if (decision.allowed()) return decision.treatment == policy::Treatment::kPassThrough;
  return policy::is_observed(policy, decision);
}

void log_passed(flow::Context& context, const TlsQuery& query, const policy::Decision& decision) {
  auto record = audit::record_of(query.facts(), decision);
  audit::set_passed(record, decision);
  audit::write(context.log, context.counters, record);
}

// What is passed through unseen, or shown a page, must at least say that it is HTTP: DNS, SSH, mail and others have
// ALPN names of their own (RFC 7301 section 6). No ALPN at all is HTTP/1.
bool speaks_http(const ClientHello& hello) {
  constexpr std::array<std::string_view, 3> kHttp{"h2", "http/1.1", "http/1.0"};
  return hello.alpn.empty() || std::ranges::any_of(hello.alpn, [&](const std::string& protocol) {
           return std::ranges::find(kHttp, protocol) != kHttp.end();
         });
}

// Another protocol that the policy names, or a port of which it asks no protocol.
bool is_admitted(const ClientHello& hello, const policy::Decision& decision) {
  if (decision.reason == Reason::kEndpointAllowed) return true;
  return std::ranges::any_of(hello.alpn, [&](const std::string& protocol) {
    return std::ranges::find(decision.admitted_alpn, protocol) != decision.admitted_alpn.end();
  });
}

flow::Refusal refusal_of(const policy::Decision& decision, const std::string& host) {
  return {.phase = policy::Phase::kTls,
          .reason = decision.reason,
          .host = host,
          .matched_host = std::string(decision.matched_host),
          .rule = decision.rule};
}

// Of gateway.internal, where the policy would let it pass: if no page reaches the client.
flow::Refusal not_answered(const ClientHello& hello, bool has_ca) {
  flow::Refusal refusal{
      .phase = policy::Phase::kTls, .reason = Reason::kCertificateRefused, .host = hello.server_name->text()};
  if (has_ca) return refusal;
  refusal.reason = Reason::kUpstreamFailed;
  refusal.detail = "this gateway has no CA to answer https with: http://gateway.internal/";
  return refusal;
}

// What decides about a hello, and the snapshot that the decision borrows from.
struct Judged {
  std::shared_ptr<const policy::Policy> snapshot;
  policy::Decision decision{.reason = Reason::kEndpointNotAllowed};
};

void judge_by(const flow::Context& context, const policy::FlowFacts& facts,
              std::shared_ptr<const policy::Policy> snapshot, Judged& judged) {
  judged.snapshot = std::move(snapshot);
  judged.decision = require_ca(context, judged.snapshot->decide(facts));
}

// The policy in force; over it what an operator granted to this connection, or answers now. `facts` are the caller's.
asio::awaitable<Judged> judge(flow::Context& context, flow::ClientConnection& client, const policy::FlowFacts& facts) {
  Judged judged;
  judge_by(context, facts, context.policy_for(client.peer.address), judged);
  if (policy::may_pass(*judged.snapshot, judged.decision)) co_return judged;
  if (client.granted && flow::may_be_asked(judged.decision)) {
    judge_by(context, facts, client.granted, judged);
    co_return judged;
  }
  const bool asks = facts.sni && !http::is_own_name(facts.sni) && may_be_held(context, client, judged.decision);
  if (!asks) co_return judged;
  std::function<bool(const policy::Policy&)> passes = [&context, &facts](const policy::Policy& policy) {
    return policy::may_pass(policy, require_ca(context, policy.decide(facts)));
  };
  auto record = audit::record_of(facts, judged.decision);
  const auto held = co_await hold_connection(context, client, std::move(record), std::move(passes));
  if (held == Held::kPasses) judge_by(context, facts, flow::policy_of(context, client), judged);
  co_return judged;
}

// The client's TLS is to end here: inspected, or, with a refusal, told why.
struct TlsTermination {
  TlsAsked asked;
  std::shared_ptr<const policy::Policy> policy;  // that the refusal borrows from
  std::optional<flow::Refusal> refusal{};
};

// What a decision lets through: the origin, already told what was read. Or what becomes of the connection instead.
struct Admitted {
  std::unique_ptr<net::Stream> origin;
  TlsQuery query;
  std::unique_ptr<TlsTermination> termination{};
};

Admitted terminated(const flow::ClientConnection& client, ClientHello hello,
                    std::shared_ptr<const policy::Policy> policy, std::optional<flow::Refusal> refusal) {
  base::HostName name = *hello.server_name;
  TlsAsked asked{name, std::move(hello.alpn)};
  auto termination = std::make_unique<TlsTermination>(std::move(asked), std::move(policy), std::move(refusal));
  return {nullptr, {client.peer.address, client.destination(), std::move(name)}, std::move(termination)};
}

using OriginOrRefusal = std::expected<flow::Dialled, flow::Refusal>;

// Dials, and tells the log of a success.
asio::awaitable<OriginOrRefusal> dial_origin(flow::Context& context, flow::ClientConnection& client,
                                             const TlsQuery& query, const policy::Policy& policy,
                                             const policy::Decision& decision, std::span<const std::byte> read) {
  auto request = flow::dial_request(decision, *query.sni, query.port, query.client);
  request.preferred = client.original_destination.address;
  request.first_bytes = read;
  auto dialled = co_await context.connector.dial(std::move(request));
  if (dialled) {
    log_passed(context, query, decision);
    dialled->stream->account_to(client.stream->buffers());
    co_return std::move(*dialled);
  }
  flow::Refusal refusal = refusal_of(decision, query.sni->text());
  refusal.ech = query.encrypted_client_hello;
  refusal.reason = dialled.error().reason;
  refusal.detail = dialled.error().message;
  refusal.refused_address = dialled.error().refused_address;
  if (refusal.reason == Reason::kDeniedByPolicy) {
    auto facts = query.facts();
    facts.dialled = refusal.refused_address;
    const auto denied = policy.decide(facts);
    refusal.matched_host = denied.matched_host;
    refusal.rule = denied.rule;
  }
  co_return std::unexpected(std::move(refusal));
}

// The hello read, decided and answered; nothing for a flow that was refused. `client` and `read` are the caller's.
asio::awaitable<std::optional<Admitted>> admit(flow::Context& context, flow::ClientConnection& client,
                                               flow::ReadAhead& read, std::optional<base::HostName> authority) {
  net::HeldBytes held(client.stream->buffers(), read.capacity());  // also while its origin is dialled
  auto known = hello_in(read);
  if (!known) known = co_await rest_of_hello(*client.stream, read, held, known.error());
  auto& hello = *known;
  if (!hello) {
    flow::Refusal refusal = std::move(hello.error().refusal);
    const Alert alert = hello.error().alert;
    if (refusal.reason != Reason::kTimedOut) {
      co_await refuse_with_alert(context, client, std::move(refusal), alert);
      co_return std::nullopt;
    }
    flow::log_refusal(context, client, refusal);
    client.stream->reset();
    co_return std::nullopt;
  }
  TlsQuery query{client.peer.address, client.destination(), hello->server_name, hello->encrypted_client_hello,
                 client.original_destination.port};
  const bool denied_port = leads_to_denied_port(context, client);
  const auto facts = query.facts(authority);
  Judged judged{.snapshot = context.policy_for(client.peer.address)};
  if (!denied_port) judged = co_await judge(context, client, facts);
  const auto& [snapshot, decision] = judged;
  const bool by_policy = denied_port || decision.reason == Reason::kHostNotAllowed ||
                         decision.reason == Reason::kHttpsNotPermitted || decision.reason == Reason::kDeniedByPolicy ||
                         decision.reason == Reason::kEndpointNotAllowed;
  // The gateway answers for itself, whatever the policy says of the name.
  const bool ours =
      !denied_port && http::is_own_name(hello->server_name) && (!authority || authority == hello->server_name);
  if (denied_port || !policy::may_pass(*snapshot, decision) || ours) {
    const std::string host = hello->server_name ? hello->server_name->text() : "";
    flow::Refusal refusal =
        denied_port ? denied_port_refusal(context, client, hello->server_name) : refusal_of(decision, host);
    refusal.ech = hello->encrypted_client_hello;
    if (ours && policy::may_pass(*snapshot, decision)) refusal = not_answered(*hello, context.inspection != nullptr);
    const bool page = (by_policy || ours) && context.inspection && hello->server_name && speaks_http(*hello);
    if (page) co_return terminated(client, std::move(*hello), snapshot, std::move(refusal));
    const Alert alert = host.empty() ? Alert::kUnrecognizedName : Alert::kAccessDenied;
    co_await refuse_with_alert(context, client, std::move(refusal), alert);
    co_return std::nullopt;
  }
  const base::HostName& name = *hello->server_name;  // decide() allows no connection without one
  if (!speaks_http(*hello) && !is_admitted(*hello, decision)) {
    flow::Refusal refusal = refusal_of(decision, name.text());
    refusal.reason = Reason::kMalformed;
    refusal.detail = fmt::format("TLS for another protocol than HTTP: to allow it, write 'alpn: [{}]' on its host",
                                 base::shown(hello->alpn.front()));
    co_await refuse_with_alert(context, client, std::move(refusal), Alert::kNoApplicationProtocol);
    co_return std::nullopt;
  }
  const bool inspected = decision.allowed() && decision.treatment == policy::Treatment::kInspect;
  if (inspected) co_return terminated(client, std::move(*hello), snapshot, std::nullopt);
  auto origin = co_await dial_origin(context, client, query, *snapshot, decision, read);
  if (origin) {
    query.dialled = origin->leads_to;
    co_return Admitted{std::move(origin->stream), std::move(query)};
  }
  flow::Refusal refusal = std::move(origin.error());
  // The policy's own refusal, and the line that lifts it: worth a page.
  const bool page = policy::is_refused_address(refusal.reason) && context.inspection;
  if (page) co_return terminated(client, std::move(*hello), snapshot, std::move(refusal));
  ++context.counters.upstream_failures;
  co_await refuse_with_alert(context, client, std::move(refusal), Alert::kInternalError);
  co_return std::nullopt;
}

asio::awaitable<void> terminate(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read,
                                std::unique_ptr<TlsTermination> termination) {
  TlsAsked asked = std::move(termination->asked);
  if (!termination->refusal) {
    return serve_inspected(context, std::move(client), std::move(read), std::move(asked));
  }
  flow::Refusal refusal = std::move(*termination->refusal);
  return serve_refused(context, std::move(client), std::move(read), std::move(asked), std::move(refusal));
}

asio::awaitable<flow::TunnelPtr> serve_tls_client(flow::Context& context, flow::ClientConnection client,
                                                  flow::ReadAhead read, std::optional<base::HostName> authority) {
  auto admitted = co_await admit(context, client, read, std::move(authority));
  if (!admitted) co_return nullptr;
  if (admitted->termination) {
    auto termination = std::move(admitted->termination);
    admitted.reset();
    co_await terminate(context, std::move(client), std::move(read), std::move(termination));
    co_return nullptr;
  }
  auto still_allowed = [query = std::move(admitted->query), granted = client.granted](const policy::Policy& policy) {
    const auto decision = policy.decide(query.facts());
    if (passes(policy.for_client(query.client), decision)) return true;
    return granted && flow::may_be_asked(decision) &&
           passes(granted->for_client(query.client), granted->decide(query.facts()));
  };
  auto tunnel =
      flow::open_tunnel(context, std::move(client.stream), std::move(admitted->origin), std::move(still_allowed));
  if (tunnel != nullptr) tunnel->already_sent = read.size();
  co_return tunnel;
}

}  // namespace

asio::awaitable<flow::TunnelPtr> serve_tls(flow::Context& context, flow::ClientConnection client,
                                           flow::ReadAhead read) {
  return serve_tls_client(context, std::move(client), std::move(read), std::nullopt);
}

asio::awaitable<flow::TunnelPtr> serve_tunnelled_tls(flow::Context& context, flow::ClientConnection client,
                                                     flow::ReadAhead read, base::HostName authority) {
  return serve_tls_client(context, std::move(client), std::move(read), std::move(authority));
}

}  // namespace soleroute::gateway::ingress
