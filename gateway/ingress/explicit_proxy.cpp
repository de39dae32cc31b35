// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/web_ports.h"
#include "gateway/audit/decision_record.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/policy_in_force.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/h1/session.h"
#include "gateway/http/internal_site.h"
#include "gateway/http/page.h"
#include "gateway/http/refusal_page.h"
#include "gateway/ingress/entrances.h"
#include "gateway/ingress/first_bytes.h"
#include "gateway/ingress/held_connection.h"
#include "gateway/ingress/inspected.h"
#include "gateway/ingress/inspected_origin.h"
#include "gateway/ingress/socks.h"
#include "policy/observe.h"
#include "sniffer/socks5.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;

constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

// How the client asks for its tunnel, and is answered.
enum class Spoken : std::uint8_t { kHttp, kSocks };

// Where a CONNECT leads. Kept for a reload's question.
struct Destination {
  base::IpAddress client;
  std::optional<base::HostName> host;
  std::optional<base::IpAddress> address;
  std::uint16_t port = 0;
  bool opaque = false;  // what it carries is neither HTTP nor TLS

  [[nodiscard]] std::string text() const { return host ? host->text() : address ? address->to_string() : ""; }
  [[nodiscard]] policy::FlowFacts facts() const {
    policy::FlowFacts facts;
    facts.phase = policy::Phase::kConnect;
    facts.client = client;
    facts.host = host;
    facts.port = port;
    facts.opaque = opaque;
    facts.method = "CONNECT";
    if (!host && address) facts.original_destination = base::Endpoint{*address, port};
    if (port == base::kHttpsPort) facts.scheme = policy::Scheme::kHttps;
    return facts;
  }
};

struct Asked {
  Destination to;
  Spoken spoken = Spoken::kHttp;
  http::PageForm form{};
};

std::string_view established(Spoken spoken) {
  static const std::string succeeded = socks_reply(SocksReply::kSucceeded);
  return spoken == Spoken::kHttp ? kEstablished : std::string_view(succeeded);
}

audit::DecisionRecord record_of(const Destination& to, const policy::Decision& decision) {
  auto record = audit::record_of(to.facts(), decision);
  record.host = to.text();
  record.destination.clear();  // the host says it
  return record;
}

// What is left to say to a client that gets no tunnel.
struct LastWord {
  http::Page page;
  SocksReply reply = SocksReply::kNotAllowed;
};

asio::awaitable<void> answer(flow::Context& context, net::Stream& client, audit::DecisionRecord record, Spoken spoken,
                             LastWord word) {
  const bool http = spoken == Spoken::kHttp;
  if (http) record.status = word.page.status;
  audit::write(context.log, context.counters, record);
  std::string bytes = http ? http::render(word.page, false, true) : socks_reply(word.reply);
  co_await flow::send_and_close(client, std::move(bytes));
}

asio::awaitable<void> answer_dial_failure(flow::Context& context, net::Stream& client, const Asked& asked,
                                          const policy::Policy& policy, policy::Decision decision,
                                          const flow::DialFailure& failure) {
  const Destination& to = asked.to;
  ++context.counters.upstream_failures;
  if (decision.allowed()) decision.refused_address = failure.refused_address;  // of others, agents are told nothing
  decision.action = policy::Action::kDeny;
  decision.reason = failure.reason;
  auto record = record_of(to, decision);
  record.detail = failure.message;
  LastWord word{http::dial_failure_page(policy, to.facts(), decision, to.text(), failure, asked.form),
                socks_reply_to(failure)};
  return answer(context, client, std::move(record), asked.spoken, std::move(word));
}

// A tunnel to one of the `endpoints:`: bytes both ways, unseen. The caller keeps what `decision` borrows from.
asio::awaitable<flow::TunnelPtr> connect(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read,
                                         Asked asked, const policy::Policy& policy, policy::Decision decision) {
  const Destination& to = asked.to;
  net::Stream& inner = *client.stream;
  const net::HeldBytes held(inner.buffers(), read.capacity());
  inner.expires_after(http::h1::kBodyIdle);  // dialling has its own time
  const base::Endpoint remote{to.address.value_or(base::IpAddress{}), to.port};
  auto dialled = co_await context.connector.dial_endpoint(decision, to.host, remote, to.client);
  if (!dialled) {
    co_await answer_dial_failure(context, inner, asked, policy, decision, dialled.error());
    co_return nullptr;
  }
  auto record = record_of(to, decision);
  if (asked.spoken == Spoken::kHttp) record.status = 200;
  audit::set_passed(record, decision);
  audit::write(context.log, context.counters, record);

  dialled->stream->account_to(inner.buffers());
  const auto still_allowed = [to, leads_to = dialled->leads_to, granted = client.granted](const policy::Policy& fresh) {
    auto facts = to.facts();
    facts.dialled = leads_to;
    return outlives(fresh.for_client(to.client), granted.get(),
                    [&facts](const policy::Policy& each) { return each.decide(facts); });
  };
  auto tunnel = flow::open_tunnel(context, std::move(client.stream), std::move(dialled->stream), still_allowed);
  if (tunnel == nullptr) co_return nullptr;
  tunnel->origin->expires_after(http::h1::kBodyIdle);
  const auto told = co_await inner.write_all(base::as_bytes(established(asked.spoken)));
  const auto early = co_await tunnel->origin->write_all(read);
  if (!told || !early) {
    inner.reset();
    co_return nullptr;
  }
  tunnel->already_sent = read.size();
  co_return tunnel;
}

// Says that the tunnel is there. False: the client has left.
asio::awaitable<bool> grant(net::Stream& client, Spoken spoken) {
  client.expires_after(flow::kFirstBytesTimeout);
  const auto told = co_await client.write_all(base::as_bytes(established(spoken)));
  if (!told) client.reset();
  co_return told.has_value();
}

// Behind the answer there is no page any more.
void refuse_established(flow::Context& context, net::Stream& client, audit::DecisionRecord record, std::string detail) {
  record.allowed = false;
  record.detail = std::move(detail);
  audit::write(context.log, context.counters, record);
  client.reset();
}

// Neither HTTP nor TLS was said to a host's port that may be both: an endpoint may still be about it.
asio::awaitable<flow::TunnelPtr> connect_opaque(flow::Context& context, flow::ClientConnection client, FirstBytes first,
                                                Destination to) {
  const auto snapshot = context.policy_for(to.client);  // the decision borrows from it
  auto decision = snapshot->decide(to.facts());
  net::Stream& inner = *client.stream;
  if (!policy::may_pass(*snapshot, decision)) {  // a reload may have withdrawn it while the client was silent
    refuse_established(context, inner, record_of(to, decision), {});
    co_return nullptr;
  }
  inner.expires_after(http::h1::kBodyIdle);  // dialling has its own time
  const base::Endpoint remote{{}, to.port};
  auto dialled = co_await context.connector.dial_endpoint(decision, to.host, remote, to.client);
  if (!dialled) {
    ++context.counters.upstream_failures;
    decision.action = policy::Action::kDeny;
    decision.reason = dialled.error().reason;
    refuse_established(context, inner, record_of(to, decision), dialled.error().message);
    co_return nullptr;
  }
  const bool silent = base::is_web_port(to.port) && first.is_silence();
  std::optional<flow::ReadAhead> greeting(std::in_place);
  if (silent) greeting = co_await greeting_of(*dialled->stream);
  if (!greeting) {
    decision.action = policy::Action::kDeny;
    decision.reason = Reason::kTimedOut;
    refuse_established(context, inner, record_of(to, decision), kNeitherSpoke);
    co_return nullptr;
  }
  auto record = record_of(to, decision);
  audit::set_passed(record, decision);
  audit::write(context.log, context.counters, record);
  dialled->stream->account_to(inner.buffers());
  dialled->stream->expires_after(http::h1::kBodyIdle);
  const auto sent = co_await dialled->stream->write_all(first.read);
  if (!sent) {
    inner.reset();
    co_return nullptr;
  }
  const auto still_allowed = [to, leads_to = dialled->leads_to](const policy::Policy& fresh) {
    auto facts = to.facts();
    facts.dialled = leads_to;
    return policy::may_pass(fresh.for_client(to.client), fresh.decide(facts));
  };
  auto tunnel = flow::open_tunnel(context, std::move(client.stream), std::move(dialled->stream), still_allowed);
  if (tunnel == nullptr) co_return nullptr;
  tunnel->already_sent = first.read.size();
  co_return co_await greeted(std::move(tunnel), std::move(*greeting));
}

// Does what is said on this port decide, as if redirected? To 443 a tunnel carries TLS for that very name.
bool is_decided_inside(const flow::Context& context, const Destination& to) {
  return to.host && (base::is_web_port(to.port) || base::contains(context.view_for(to.client).domain_ports, to.port));
}

// The host is named already: the ClientHello, or each request, is read, decided and logged as if redirected.
asio::awaitable<flow::TunnelPtr> serve_inside(flow::Context& context, flow::ClientConnection client,
                                              flow::ReadAhead read, Asked asked) {
  Destination to = asked.to;
  client.original_destination = {{}, to.port};
  const bool granted = co_await grant(*client.stream, asked.spoken);
  if (!granted) co_return nullptr;
  to.opaque = true;
  const bool endpoint = context.policy_for(to.client)->decide(to.facts()).allowed();
  FirstBytes first = co_await awaited_first_bytes(context, *client.stream, std::move(read), endpoint);
  if (first.protocol == sniffer::Protocol::kHttp1 && to.port != base::kHttpsPort) {
    const auto session = std::make_unique<http::h1::Session>(context, std::move(client), std::move(first.read),
                                                             http::h1::Entrance::kRedirected);
    co_await session->run();
    co_return nullptr;
  }
  const bool opaque = endpoint && (first.is_other() || first.is_silence());
  if (opaque) co_return co_await connect_opaque(context, std::move(client), std::move(first), to);
  // Also what is no TLS: it is told, and logged, as a hello that is none.
  const base::HostName name = *to.host;
  co_return co_await serve_tunnelled_tls(context, std::move(client), std::move(first.read), name);
}

// Is an address, which a client of SOCKS has looked up itself, served as if it had been dialled? The web's ports are,
// and endpoints of a name that this gateway's DNS has given that address.
bool is_dialled_address(const flow::Context& context, const flow::ClientConnection& client, const Asked& asked,
                        const flow::ReadAhead& read) {
  if (asked.spoken != Spoken::kSocks || asked.to.host) return false;
  if (base::contains(context.view_for(asked.to.client).domain_ports, asked.to.port)) return true;
  return base::is_web_port(asked.to.port) || (read.empty() && is_endpoint(context, client));
}

asio::awaitable<flow::TunnelPtr> serve_granted(flow::Context& context, flow::ClientConnection client,
                                               flow::ReadAhead read, Spoken spoken) {
  const bool granted = co_await grant(*client.stream, spoken);
  if (!granted) co_return nullptr;
  co_return co_await serve_transparent(context, std::move(client), std::move(read));
}

// Where a page can say more than SOCKS, a denied name gets it, as it does without a proxy: on port 80, and inside TLS
// where there is a CA to sign for it.
bool gets_page(const flow::Context& context, const Asked& asked) {
  if (asked.spoken != Spoken::kSocks || !asked.to.host) return false;
  return asked.to.port == base::kHttpPort || (asked.to.port == base::kHttpsPort && context.inspection);
}

policy::Decision decided(const flow::Context& context, const policy::Policy& policy, const Destination& to) {
  if (!http::is_own_name(to.host) || to.port == base::kHttpsPort) {
    return require_ca(context, policy.decide(to.facts()));
  }
  return {.action = policy::Action::kDeny, .reason = Reason::kEndpointNotAllowed};  // none leads to the gateway itself
}

asio::awaitable<flow::TunnelPtr> serve_asked(flow::Context& context, flow::ClientConnection client,
                                             flow::ReadAhead read, Asked asked) {
  const Destination& to = asked.to;
  auto snapshot = flow::policy_of(context, client);  // the decision borrows from it
  auto decision = decided(context, *snapshot, to);
  const bool observed_address = to.address && !to.host && context.connector.may_dial(*to.address);
  // Over TLS too, where there is a CA to sign for it, the gateway answers for itself.
  const bool ours = context.inspection && to.port == base::kHttpsPort && http::is_own_name(to.host);
  const auto passes_by = [&](const policy::Policy& policy, const policy::Decision& made) {
    return policy::may_pass(policy, made) && (made.allowed() || to.host || observed_address);
  };
  const bool asks = !passes_by(*snapshot, decision) && !gets_page(context, asked) && !http::is_own_name(to.host) &&
                    !is_dialled_address(context, client, asked, read) && may_be_held(context, client, decision);
  if (asks) {
    std::function<bool(const policy::Policy&)> passing = [&](const policy::Policy& policy) {
      return passes_by(policy, decided(context, policy, to));
    };
    auto record = record_of(to, decision);
    const auto held = co_await hold_connection(context, client, std::move(record), std::move(passing));
    if (held == Held::kPasses) snapshot = flow::policy_of(context, client);
    if (held == Held::kPasses) decision = decided(context, *snapshot, to);
  }
  const bool passes = passes_by(*snapshot, decision);
  const bool by_socks_to_http = gets_page(context, asked) && to.port == base::kHttpPort;
  if (asked.spoken == Spoken::kSocks) {
    client.original_destination = {to.address && !to.host ? *to.address : base::IpAddress{}, to.port};
  }
  if (by_socks_to_http || (!decision.allowed() && is_dialled_address(context, client, asked, read))) {
    co_return co_await serve_granted(context, std::move(client), std::move(read), asked.spoken);
  }
  if (!passes && !ours && !gets_page(context, asked)) {
    LastWord word{http::refusal_page(*snapshot, to.facts(), decision, 403, asked.form)};
    co_await answer(context, *client.stream, record_of(to, decision), asked.spoken, std::move(word));
    co_return nullptr;
  }
  if (is_decided_inside(context, to)) {
    co_return co_await serve_inside(context, std::move(client), std::move(read), std::move(asked));
  }
  co_return co_await connect(context, std::move(client), std::move(read), std::move(asked), *snapshot, decision);
}

// Only looks: what is read is replayed. A client that leaves or sends nothing is for the session to see.
asio::awaitable<bool> speaks_socks(net::Stream& stream, flow::ReadAhead& read) {
  constexpr std::size_t kFirstRead = 512;
  const auto readable = co_await stream.wait_readable();
  if (!readable) co_return false;
  std::array<std::byte, kFirstRead> buffer{};
  const auto count = stream.try_read_some(buffer);
  if (count.has_bytes()) {
    read.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count.count()));
  }
  co_return !read.empty() && read.front() == sniffer::kSocks5;
}

asio::awaitable<flow::TunnelPtr> serve_socks(flow::Context& context, flow::ClientConnection client,
                                             flow::ReadAhead read) {
  const auto wanted = co_await socks_asked(context, client, read);
  if (!wanted) co_return nullptr;
  Asked asked{.to = {client.peer.address, wanted->host, wanted->address, wanted->port}, .spoken = Spoken::kSocks};
  co_return co_await serve_asked(context, std::move(client), std::move(read), std::move(asked));
}

std::unique_ptr<http::OriginSource> https_origin(flow::Context& context, const flow::ClientConnection& client,
                                                 base::HostName name) {
  return std::make_unique<InspectedOrigin>(context, client, base::kHttpsPort, std::move(name), std::nullopt);
}

asio::awaitable<flow::TunnelPtr> serve_proxy_client(flow::Context& context, flow::ClientConnection client) {
  client.stream->expires_after(flow::kFirstBytesTimeout);
  flow::ReadAhead read;
  const bool socks = co_await speaks_socks(*client.stream, read);
  if (socks) co_return co_await serve_socks(context, std::move(client), std::move(read));
  std::optional<http::h1::ConnectAsked> wanted;
  std::optional<flow::ClientConnection> remaining;
  {
    http::h1::Session session(context, std::move(client), std::move(read), https_origin);
    wanted = co_await session.run();
    if (!wanted) co_return nullptr;
    read = session.take_received();
    remaining = session.take_client();
  }
  const auto& authority = wanted->authority;
  Asked asked{.to = {remaining->peer.address, authority.host, authority.address, authority.port.value_or(0)},
              .form = {.body = wanted->form}};
  co_return co_await serve_asked(context, std::move(*remaining), std::move(read), std::move(asked));
}

}  // namespace

asio::awaitable<void> serve_explicit_proxy(flow::Context& context, flow::ClientConnection client) {
  auto tunnel = co_await serve_proxy_client(context, std::move(client));
  co_await flow::run_tunnel(context, std::move(tunnel));
}

}  // namespace soleroute::gateway::ingress
