// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/inspected.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "gateway/http/h1/io.h"
#include "gateway/http/h1/session.h"
#include "gateway/http/h2/session.h"
#include "gateway/http/internal_site.h"
#include "gateway/ingress/inspected_origin.h"
#include "gateway/ingress/tls_alert.h"
#include "gateway/inspect/agent_tls.h"
#include "gateway/inspect/certificate_facts.h"
#include "gateway/inspect/inspection.h"

namespace soleroute::gateway::ingress {
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
std::vector<http::HttpVersion> alpn_to_origin(const TlsAsked& asked) {
  if (offers(asked, alpn_name(http::HttpVersion::kHttp2)))
    return {http::HttpVersion::kHttp2, http::HttpVersion::kHttp1};
  return {http::HttpVersion::kHttp1};
}

// What is spoken with the client where `wanted` is what the origin speaks, or would do.
http::HttpVersion alpn_to_client(const TlsAsked& asked, http::HttpVersion wanted) {
  const bool http2 = offers(asked, alpn_name(http::HttpVersion::kHttp2));
  const bool http1 =
      asked.alpn.empty() || offers(asked, alpn_name(http::HttpVersion::kHttp1)) || offers(asked, "http/1.0");
  if (wanted == http::HttpVersion::kHttp2) return http2 ? http::HttpVersion::kHttp2 : http::HttpVersion::kHttp1;
  return http1 || !http2 ? http::HttpVersion::kHttp1 : http::HttpVersion::kHttp2;
}

// The protocol to agree upon with the client; empty: it has offered none.
std::string protocol_for(const TlsAsked& asked, http::HttpVersion version) {
  if (asked.alpn.empty()) return {};
  const std::string wanted(alpn_name(version));
  const bool old = version == http::HttpVersion::kHttp1 && !offers(asked, wanted) && offers(asked, "http/1.0");
  return old ? "http/1.0" : wanted;
}

// RFC 8446 section 6.2: what clients send that cannot or will not verify the certificate.
bool says_distrust(int alert) {
  constexpr int kBadCertificate = 42;
  constexpr int kCertificateUnknown = 46;
  constexpr int kUnknownCa = 48;
  return (alert >= kBadCertificate && alert <= kCertificateUnknown) || alert == kUnknownCa;
}

// What clients send for a period that does not include their time, beside other faults: OpenSSL and Go send
// bad_certificate before it begins, all send certificate_expired after it ends, Java certificate_unknown.
bool may_be_the_clock(int alert) {
  constexpr int kBadCertificate = 42;
  constexpr int kCertificateUnknown = 46;
  return alert == kBadCertificate || alert == kCertificateUnknown;
}

constexpr int kCertificateExpired = 45;

// RFC 3339, to compare with the client's clock.
std::string period_of(const inspect::Leaf& leaf) {
  return fmt::format("{} to {}", inspect::date_text(inspect::valid_from(*leaf.certificate)),
                     inspect::date_text(inspect::valid_until(*leaf.certificate)));
}

constexpr std::string_view kHowToTrust =
    "install the gateway's CA there (gateway ca), or, where the client pins certificates, write 'tls: passthrough' on "
    "its host";

std::string distrust_detail(const HandshakeFault& fault, const inspect::Leaf& leaf) {
  if (fault.alert == kCertificateExpired) {
    return fmt::format(
        "the clock of the client is wrong ({}): set it; the gateway's certificate is valid from {} (UTC)",
        fault.message, period_of(leaf));
  }
  std::string detail =
      fmt::format("the client does not trust the gateway's certificate ({}): {}", fault.message, kHowToTrust);
  if (may_be_the_clock(fault.alert)) {
    detail += fmt::format(". Or set the client's clock, if it is not within {} (UTC)", period_of(leaf));
  }
  return detail;
}

// How a handshake with a client ended, for the log.
flow::Refusal handshake_refusal(const TlsAsked& asked, const HandshakeFault& fault, const inspect::Leaf& leaf) {
  flow::Refusal refusal{.phase = policy::Phase::kTls, .reason = Reason::kMalformed, .host = asked.name.text()};
  refusal.detail = fault.message;
  if (fault.kind == HandshakeFault::Kind::kTimedOut) refusal.reason = Reason::kTimedOut;
  const bool left = fault.kind == HandshakeFault::Kind::kClosed;
  const bool distrusts = fault.kind == HandshakeFault::Kind::kAlert && says_distrust(fault.alert);
  if (!left && !distrusts) return refusal;
  refusal.reason = Reason::kCertificateRefused;
  if (distrusts) {
    refusal.detail = distrust_detail(fault, leaf);
    return refusal;
  }
  refusal.detail = fmt::format(
      "the client left during the TLS handshake, as those do that do not trust the gateway's certificate: {}",
      kHowToTrust);
  return refusal;
}

// The client's side of TLS, up. Otherwise the client is gone, or was told, and `refusal` says why.
struct Accepted {
  std::unique_ptr<net::Stream> stream;
  flow::Refusal refusal{};
};

asio::awaitable<Accepted> accept(flow::Context& context, std::unique_ptr<net::Stream> below, flow::ReadAhead read,
                                 TlsAsked asked, http::HttpVersion version, inspect::LeafUse use) {
  const auto inspection = context.inspection;
  if (!net::has_room(below->buffers())) {
    Accepted none{nullptr, {.reason = Reason::kTooLarge, .host = asked.name.text()}};
    none.refusal.detail = std::string(flow::kNoRoom);
    co_await flow::send_and_close(*below, alert_record(Alert::kInternalError));
    co_return none;
  }
  auto leaf = co_await inspection->leaves->leaf_for(asked.name, use);
  if (!leaf) {
    Accepted none{nullptr, {.reason = Reason::kUpstreamFailed, .host = asked.name.text()}};
    none.refusal.detail = "cannot create a certificate: " + leaf.error().message;
    co_await flow::send_and_close(*below, alert_record(Alert::kInternalError));
    co_return none;
  }
  below->expires_after(kHandshakeTimeout);
  inspect::Accepting what{asked.name, protocol_for(asked, version)};
  auto stream = inspection->agents->accept(std::move(below), std::move(read), std::move(what), **leaf);
  const auto done = co_await stream->handshake();
  if (done) co_return Accepted{std::move(stream)};
  stream->close();
  co_return Accepted{nullptr, handshake_refusal(asked, done.error(), **leaf)};
}

// What the log says of it, as the client is told.
flow::DialFailure failure_of(const flow::Refusal& refusal) {
  if (!refusal.refused_address) {
    return {Reason::kUpstreamFailed, "this connection was refused before the policy allowed the host: connect again"};
  }
  flow::DialFailure failure{refusal.reason, refusal.detail};
  failure.refused_address = refusal.refused_address;
  return failure;
}

// For names that are denied or lead to private addresses: nothing is dialled, whatever a later policy says.
class NoOrigin final : public http::OriginSource {
 public:
  explicit NoOrigin(flow::DialFailure failure) : failure_(std::move(failure)) {}
  asio::awaitable<std::expected<http::OriginConnection, flow::DialFailure>> connect(
      std::vector<http::HttpVersion> /*offered*/) override {
    co_return std::unexpected(failure_);
  }
  void give_back(http::OriginConnection /*connection*/) override {}

 private:
  flow::DialFailure failure_;
};

enum class Requests : std::uint8_t { kNone, kLogged };

// Sessions are not locals: the frame of whoever calls stays small.
template <class Session>
asio::awaitable<Requests> refuse_all(flow::Context& context, http::InspectedClient client, flow::DialFailure failure) {
  NoOrigin nowhere(std::move(failure));
  const auto session = std::make_unique<Session>(context, std::move(client), nowhere, std::nullopt);
  co_await session->run();
  co_return session->has_logged() ? Requests::kLogged : Requests::kNone;
}

asio::awaitable<Requests> refuse_requests(flow::Context& context, http::InspectedClient client,
                                          http::HttpVersion version, flow::DialFailure failure) {
  return version == http::HttpVersion::kHttp2
             ? refuse_all<http::h2::Session>(context, std::move(client), std::move(failure))
             : refuse_all<http::h1::Session>(context, std::move(client), std::move(failure));
}

}  // namespace

policy::Decision require_ca(const flow::Context& context, policy::Decision decision) {
  if (context.inspection || !decision.allowed() || decision.treatment != policy::Treatment::kInspect) return decision;
  decision.action = policy::Action::kDeny;
  decision.reason = Reason::kInspectionNeeded;
  return decision;
}

asio::awaitable<void> serve_inspected(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read,
                                      TlsAsked asked) {
  client.stream->expires_after(http::h1::kBodyIdle);  // dialling has its own time
  net::HeldBytes held(client.stream->buffers(), read.capacity());
  const auto destination = client.destination();
  const auto preferred = destination ? std::optional(destination->address) : std::nullopt;
  InspectedOrigin origin(context, client, client.original_destination.port, asked.name, preferred);
  std::optional<http::OriginConnection> first;
  auto connected = co_await origin.connect(alpn_to_origin(asked));
  const http::HttpVersion version = alpn_to_client(asked, connected ? connected->version : http::HttpVersion::kHttp1);
  if (connected) {
    first = std::move(*connected);
  } else {
    origin.fail_next(std::move(connected.error()));  // the client is told over TLS of its own
  }
  auto accepted = co_await accept(context, std::move(client.stream), std::move(read), asked, version,
                                  inspect::LeafUse::kInspection);
  held.set(0);
  if (!accepted.stream) co_return flow::log_refusal(context, client, accepted.refusal);
  client.stream = std::move(accepted.stream);
  http::InspectedClient inspected{std::move(client), std::move(asked.name)};
  // Not locals: a session is large, and this frame stays small.
  if (version == http::HttpVersion::kHttp2) {
    const auto session = std::make_unique<http::h2::Session>(context, std::move(inspected), origin, std::move(first));
    co_await session->run();
  } else {
    const auto session = std::make_unique<http::h1::Session>(context, std::move(inspected), origin, std::move(first));
    co_await session->run();
  }
}

asio::awaitable<void> serve_refused(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read,
                                    TlsAsked asked, flow::Refusal refusal) {
  const bool page = context.inspection && context.refusal_pages.take(client.peer.address, net::Clock::now());
  if (!page) {
    flow::log_refusal(context, client, refusal);
    co_return co_await flow::send_and_close(*client.stream, alert_record(Alert::kAccessDenied));
  }
  const http::HttpVersion version = alpn_to_client(asked, http::HttpVersion::kHttp1);
  const auto use = http::is_own_name(asked.name) ? inspect::LeafUse::kInspection : inspect::LeafUse::kRefusal;
  auto accepted = co_await accept(context, std::move(client.stream), std::move(read), asked, version, use);
  if (!accepted.stream) {
    refusal.detail = accepted.refusal.detail;
    co_return flow::log_refusal(context, client, refusal);
  }
  client.stream = std::move(accepted.stream);
  const flow::ClientConnection who{nullptr, client.peer, client.original_destination};
  http::InspectedClient inspected{std::move(client), std::move(asked.name)};
  flow::DialFailure failure = failure_of(refusal);
  const auto requests = co_await refuse_requests(context, std::move(inspected), version, std::move(failure));
  if (requests == Requests::kLogged) co_return;
  refusal.detail = "the client accepted the gateway's certificate, but sent no request";
  flow::log_refusal(context, who, refusal);
}

}  // namespace soleroute::gateway::ingress
