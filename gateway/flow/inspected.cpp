// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/inspected.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "gateway/flow/http1_io.h"
#include "gateway/flow/http1_session.h"
#include "gateway/flow/http2_session.h"
#include "gateway/flow/inspected_origin.h"
#include "gateway/flow/tls_alert.h"
#include "gateway/inspect/agent_tls.h"
#include "gateway/inspect/inspection.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;
using inspect::HandshakeFault;
using policy::Reason;

constexpr std::chrono::milliseconds kHandshakeTimeout{10000};

bool offers(const TlsAsked& asked, std::string_view protocol) {
  return std::ranges::find(asked.alpn, protocol) != asked.alpn.end();
}

// What the origin is offered, in the order of preference. HTTP/2 only for clients that speak it; requests of theirs can
// go to an origin of either version.
std::vector<HttpVersion> carried(const TlsAsked& asked) {
  if (offers(asked, alpn_name(HttpVersion::kHttp2))) return {HttpVersion::kHttp2, HttpVersion::kHttp1};
  return {HttpVersion::kHttp1};
}

// What is spoken with the client where `wanted` is what the origin speaks, or would do.
HttpVersion spoken(const TlsAsked& asked, HttpVersion wanted) {
  const bool http2 = offers(asked, alpn_name(HttpVersion::kHttp2));
  const bool http1 = asked.alpn.empty() || offers(asked, alpn_name(HttpVersion::kHttp1)) || offers(asked, "http/1.0");
  if (wanted == HttpVersion::kHttp2) return http2 ? HttpVersion::kHttp2 : HttpVersion::kHttp1;
  return http1 || !http2 ? HttpVersion::kHttp1 : HttpVersion::kHttp2;
}

// The protocol to agree upon with the client; empty: it has offered none.
std::string protocol_for(const TlsAsked& asked, HttpVersion version) {
  if (asked.alpn.empty()) return {};
  const std::string wanted(alpn_name(version));
  const bool old = version == HttpVersion::kHttp1 && !offers(asked, wanted) && offers(asked, "http/1.0");
  return old ? "http/1.0" : wanted;
}

// RFC 8446 section 6.2: what clients send that cannot or will not verify the certificate.
bool says_distrust(int alert) {
  constexpr int kBadCertificate = 42;
  constexpr int kCertificateUnknown = 46;
  constexpr int kUnknownCa = 48;
  return (alert >= kBadCertificate && alert <= kCertificateUnknown) || alert == kUnknownCa;
}

constexpr std::string_view kHowToTrust =
    "install the gateway's CA there (gateway ca), or, where the client pins certificates, write 'tls: passthrough' on "
    "its host";

// How a handshake with a client ended, for the log.
Refusal handshake_refusal(const TlsAsked& asked, const HandshakeFault& fault) {
  Refusal refusal{.phase = policy::Phase::kTls, .reason = Reason::kMalformed, .host = asked.name.text()};
  refusal.detail = fault.message;
  if (fault.kind == HandshakeFault::Kind::kTimedOut) refusal.reason = Reason::kTimedOut;
  const bool left = fault.kind == HandshakeFault::Kind::kClosed;
  const bool distrusts = fault.kind == HandshakeFault::Kind::kAlert && says_distrust(fault.alert);
  if (!left && !distrusts) return refusal;
  refusal.reason = Reason::kCertificateRefused;
  refusal.detail = distrusts ? fmt::format("the client does not trust the gateway's certificate ({}): {}",
                                           fault.message, kHowToTrust)
                             : fmt::format(
                                   "the client left during the TLS handshake, as those do that do not trust the "
                                   "gateway's certificate: {}",
                                   kHowToTrust);
  return refusal;
}

// The client's side of TLS, up. Otherwise the client is gone, or was told, and `refusal` says why.
struct Accepted {
  std::unique_ptr<net::Stream> stream;
  Refusal refusal{};
};

asio::awaitable<Accepted> accept(FlowContext& context, std::unique_ptr<net::Stream> below, ReadAhead read,
                                 TlsAsked asked, HttpVersion version) {
  const auto inspection = context.inspection;
  if (!net::has_room(below->buffers())) {
    Accepted none{nullptr, {.reason = Reason::kTooLarge, .host = asked.name.text()}};
    none.refusal.detail = std::string(kNoRoom);
    co_await send_and_close(*below, alert_record(Alert::kInternalError));
    co_return none;
  }
  auto leaf = co_await inspection->leaves->leaf_for(asked.name);
  if (!leaf) {
    Accepted none{nullptr, {.reason = Reason::kUpstreamFailed, .host = asked.name.text()}};
    none.refusal.detail = "no certificate could be made: " + leaf.error().message;
    co_await send_and_close(*below, alert_record(Alert::kInternalError));
    co_return none;
  }
  below->expires_after(kHandshakeTimeout);
  inspect::Accepting what{asked.name, protocol_for(asked, version)};
  auto stream = inspection->agents->accept(std::move(below), std::move(read), std::move(what), **leaf);
  const auto done = co_await stream->handshake();
  if (done) co_return Accepted{std::move(stream)};
  stream->close();
  co_return Accepted{nullptr, handshake_refusal(asked, done.error())};
}

// For names that are denied: nothing is dialled, whatever a later policy says.
class NoOrigin final : public OriginSource {
 public:
  asio::awaitable<std::expected<OriginConnection, DialFailure>> connect(std::vector<HttpVersion> /*offered*/) override {
    DialFailure failure{Reason::kUpstreamFailed,
                        "this connection was refused before the policy allowed the host: "
                        "connect again"};
    co_return std::unexpected(std::move(failure));
  }
  void give_back(OriginConnection /*connection*/) override {}
};

// Sessions are not locals: the frame of whoever calls stays small.
template <class Session>
asio::awaitable<bool> refuse_all(FlowContext& context, InspectedClient client) {
  NoOrigin nowhere;
  const auto session = std::make_unique<Session>(context, std::move(client), nowhere, std::nullopt);
  co_await session->run();
  co_return session->has_logged();
}

// Has the client asked for anything? Then that was logged.
asio::awaitable<bool> refuse_requests(FlowContext& context, InspectedClient client, HttpVersion version) {
  return version == HttpVersion::kHttp2 ? refuse_all<Http2Session>(context, std::move(client))
                                        : refuse_all<Http1Session>(context, std::move(client));
}

}  // namespace

policy::Decision feasible(const FlowContext& context, policy::Decision decision) {
  if (context.inspection || !decision.allowed() || decision.treatment != policy::Treatment::kInspect) return decision;
  decision.action = policy::Action::kDeny;
  decision.reason = Reason::kInspectionNeeded;
  return decision;
}

asio::awaitable<void> serve_inspected_http1(FlowContext& context, InspectedClient client, OriginSource& origins,
                                            std::optional<OriginConnection> first) {
  const auto session = std::make_unique<Http1Session>(context, std::move(client), origins, std::move(first));
  co_await session->run();
}

asio::awaitable<void> serve_inspected(FlowContext& context, ClientConnection client, ReadAhead read, TlsAsked asked) {
  client.stream->expires_after(kBodyIdle);  // dialling has its own time
  net::HeldBytes held(client.stream->buffers(), read.capacity());
  const bool redirected = client.original_destination.address != base::IpAddress{};
  const auto preferred = redirected ? std::optional(client.original_destination.address) : std::nullopt;
  InspectedOrigin origin(context, client, asked.name, preferred);
  std::optional<OriginConnection> first;
  auto connected = co_await origin.connect(carried(asked));
  const HttpVersion version = spoken(asked, connected ? connected->version : HttpVersion::kHttp1);
  if (connected) {
    first = std::move(*connected);
  } else {
    origin.fail_next(std::move(connected.error()));  // the client is told over TLS of its own
  }
  auto accepted = co_await accept(context, std::move(client.stream), std::move(read), asked, version);
  held.set(0);
  if (!accepted.stream) co_return log_refusal(context, client, accepted.refusal);
  client.stream = std::move(accepted.stream);
  InspectedClient inspected{std::move(client), std::move(asked.name)};
  if (version == HttpVersion::kHttp2) {
    co_await serve_inspected_http2(context, std::move(inspected), origin, std::move(first));
  } else {
    co_await serve_inspected_http1(context, std::move(inspected), origin, std::move(first));
  }
}

asio::awaitable<void> serve_refused(FlowContext& context, ClientConnection client, ReadAhead read, TlsAsked asked,
                                    Refusal refusal) {
  const bool page = context.inspection && context.refusal_pages.take(client.peer.address, net::Clock::now());
  if (!page) {
    log_refusal(context, client, refusal);
    co_return co_await send_and_close(*client.stream, alert_record(Alert::kAccessDenied));
  }
  const HttpVersion version = spoken(asked, HttpVersion::kHttp1);
  auto accepted = co_await accept(context, std::move(client.stream), std::move(read), asked, version);
  if (!accepted.stream) {
    refusal.detail = accepted.refusal.detail;
    co_return log_refusal(context, client, refusal);
  }
  client.stream = std::move(accepted.stream);
  const ClientConnection who{nullptr, client.peer, client.original_destination};
  InspectedClient inspected{std::move(client), std::move(asked.name)};
  const bool asked_for_something = co_await refuse_requests(context, std::move(inspected), version);
  if (asked_for_something) co_return;
  refusal.detail = "the client took the gateway's certificate and then asked for nothing";
  log_refusal(context, who, refusal);
}

}  // namespace soleroute::gateway::flow
