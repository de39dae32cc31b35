// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/tls_upstreams.h"

#include <algorithm>
#include <cerrno>
#include <string>

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

milliseconds until(std::chrono::steady_clock::time_point deadline) {
  return std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
}

}  // namespace

std::unique_ptr<net::Stream> TlsUpstreams::take(const Upstream& upstream) {
  std::erase_if(kept_, [now = Clock::now()](const Kept& kept) { return now - kept.since > kKept; });
  const auto found = std::ranges::find(kept_, upstream, &Kept::upstream);
  if (found == kept_.end()) return nullptr;
  auto stream = std::move(found->stream);
  kept_.erase(found);
  return stream;
}

void TlsUpstreams::keep(const Upstream& upstream, std::unique_ptr<net::Stream> stream) {
  if (kept_.size() == kMaxKept) kept_.erase(kept_.begin());
  stream->never_expires();
  kept_.push_back(Kept{.upstream = upstream, .stream = std::move(stream), .since = Clock::now()});
}

asio::awaitable<ExchangeResult> TlsUpstreams::ask(Upstream upstream, ExchangeRequest request,
                                                  std::shared_ptr<UpstreamTraits> traits) {
  if (!connect_) co_return std::unexpected(ExchangeFault::kSystem);
  const auto deadline = Clock::now() + request.timeout;
  if (auto stream = take(upstream)) {
    stream->expires_after(request.timeout);
    auto result = co_await exchange_over(*stream, request);
    if (result || result.error() != ExchangeFault::kUnreachable) {
      if (result) keep(upstream, std::move(stream));
      co_return result;
    }
  }
  auto connected = co_await connect_(upstream, until(deadline));
  if (!connected) {
    const bool late = connected.error().sys_errno == ETIMEDOUT;
    traits->learn(upstream.server, Lack::kTls, "cannot be asked over TLS: " + connected.error().message);
    co_return std::unexpected(late ? ExchangeFault::kTimedOut : ExchangeFault::kUnreachable);
  }
  traits->forget(upstream.server, Lack::kTls);
  auto stream = std::move(*connected);
  stream->expires_after(std::max(until(deadline), milliseconds(1)));
  auto result = co_await exchange_over(*stream, std::move(request));
  if (result) keep(upstream, std::move(stream));
  co_return result;
}

}  // namespace soleroute::gateway::dns
