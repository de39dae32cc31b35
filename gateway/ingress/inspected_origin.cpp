// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/inspected_origin.h"

#include <algorithm>
#include <array>
#include <utility>

#include "gateway/flow/refusal.h"
#include "gateway/http/h2/http1_over_http2.h"
#include "gateway/ingress/tls_facts.h"
#include "gateway/inspect/inspection.h"
#include "policy/observe.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;

constexpr std::chrono::milliseconds kOriginHandshakeTimeout{10000};

// Neither ended nor speaking unasked.
bool is_quiet(net::Stream& stream) {
  std::array<std::byte, 1> unasked{};
  return stream.is_open() && stream.try_read_some(unasked).would_block();
}

}  // namespace

std::string_view alpn_name(http::HttpVersion version) {
  return version == http::HttpVersion::kHttp2 ? "h2" : "http/1.1";
}

InspectedOrigin::InspectedOrigin(flow::Context& context, const flow::ClientConnection& client, std::uint16_t port,
                                 base::HostName name, std::optional<base::IpAddress> preferred)
    : context_(context),
      client_(client.peer.address),
      buffers_(client.stream->buffers()),
      name_(std::move(name)),
      preferred_(preferred),
      port_(port) {}

// By the policy in force now, which may no longer be the one that let the client in.
asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> InspectedOrigin::dial() {
  const auto snapshot = context_.policy_for(client_);
  const TlsQuery query{.client = client_, .sni = name_, .port = port_};
  const auto decision = snapshot->decide(query.facts());
  if (!policy::may_pass(*snapshot, decision))
    co_return flow::dial_failed(decision.reason, "the policy no longer allows this host");
  auto request = flow::dial_request(decision, name_, port_, client_);
  request.preferred = preferred_;
  co_return co_await context_.connector.dial(std::move(request));
}

std::optional<http::OriginConnection> InspectedOrigin::kept(const std::vector<http::HttpVersion>& offered) {
  if (!context_.is_in_force(policy_)) idle_.clear();
  while (!idle_.empty()) {
    http::OriginConnection newest = std::move(idle_.back());
    idle_.pop_back();
    if (std::ranges::find(offered, newest.version) != offered.end() && is_quiet(*newest.stream)) return newest;
  }
  return std::nullopt;
}

// HTTP/2 is not offered beside HTTP/1.1 to who cannot carry it: an origin that has the choice would take it.
asio::awaitable<std::expected<http::OriginConnection, flow::DialFailure>> InspectedOrigin::connect(
    std::vector<http::HttpVersion> offered) {
  if (known_failure_) {
    flow::DialFailure failure = std::move(*std::exchange(known_failure_, std::nullopt));
    co_return std::unexpected(std::move(failure));
  }
  if (auto connection = kept(offered)) co_return std::move(*connection);
  const bool http1 = std::ranges::find(offered, http::HttpVersion::kHttp2) == offered.end();
  if (!http1 || !http2_alone_) {
    auto connected = co_await connect_anew(std::move(offered));
    if (connected || !http1 || !http2_alone_) co_return connected;
  }
  std::vector<http::HttpVersion> http2{http::HttpVersion::kHttp2};
  auto connected = co_await connect_anew(std::move(http2));
  if (!connected || connected->version == http::HttpVersion::kHttp1) co_return connected;
  auto translated = http::h2::http1_over_http2(context_, client_, std::move(connected->stream));
  if (translated == nullptr)
    co_return flow::dial_failed(Reason::kUpstreamFailed, "no descriptors are left", flow::DialFault::kLimit);
  co_return http::OriginConnection{std::move(translated), http::HttpVersion::kHttp1};
}

asio::awaitable<std::expected<http::OriginConnection, flow::DialFailure>> InspectedOrigin::connect_anew(
    std::vector<http::HttpVersion> offered) {
  if (!net::has_room(buffers_)) {
    co_return flow::dial_failed(Reason::kUpstreamFailed, std::string(flow::kNoRoom), flow::DialFault::kLimit);
  }
  auto dialled = co_await dial();
  if (!dialled) co_return std::unexpected(std::move(dialled.error()));
  dialled->stream->account_to(buffers_);
  dialled->stream->expires_after(kOriginHandshakeTimeout);
  std::vector<std::string> protocols;
  protocols.reserve(offered.size());
  for (const http::HttpVersion version : offered) protocols.emplace_back(alpn_name(version));
  const auto inspection = context_.inspection;
  auto stream = co_await inspection->origins->connect(std::move(dialled->stream), name_, std::move(protocols),
                                                      context_.origin_sessions_for(client_));
  if (!stream) {
    http2_alone_ = http2_alone_ || stream.error().no_common_protocol;
    const Reason reason = stream.error().timed_out ? Reason::kTimedOut : Reason::kUpstreamFailed;
    const auto fault = stream.error().certificate ? flow::DialFault::kCertificate : flow::DialFault::kTls;
    co_return flow::dial_failed(reason, std::move(stream.error().message), fault);
  }
  const bool http2 = (*stream)->alpn() == alpn_name(http::HttpVersion::kHttp2);
  const auto version = http2 ? http::HttpVersion::kHttp2 : http::HttpVersion::kHttp1;
  co_return http::OriginConnection{std::move(*stream), version, dialled->leads_to};
}

void InspectedOrigin::give_back(http::OriginConnection connection) {
  if (!context_.is_in_force(policy_)) idle_.clear();
  policy_ = context_.policy_identity();
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
}

}  // namespace soleroute::gateway::ingress
