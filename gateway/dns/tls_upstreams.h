// Questions to upstream servers over TLS (RFC 7858), each server by connections that are kept and used again.
// One per worker, on its thread. Nothing is asked in the clear instead.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gateway/dns/exchange.h"
#include "gateway/dns/upstreams.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::dns {

// A connection to the server that is up and verified, within the time; an error says what is wrong with it.
using ConnectTls = std::function<boost::asio::awaitable<base::Result<std::unique_ptr<net::Stream>>>(
    Upstream upstream, std::chrono::milliseconds timeout)>;

class TlsUpstreams {
 public:
  static constexpr std::size_t kMaxKept = 8;  // connections that are not in use, of all servers
  static constexpr std::chrono::seconds kKept{10};

  explicit TlsUpstreams(ConnectTls connect) : connect_(std::move(connect)) {}

  // On a kept connection, and on a new one if that has ended. This outlives what it returns.
  [[nodiscard]] boost::asio::awaitable<ExchangeResult> ask(Upstream upstream, ExchangeRequest request,
                                                           std::shared_ptr<UpstreamTraits> traits);

 private:
  using Clock = std::chrono::steady_clock;
  struct Kept {
    Upstream upstream{};
    std::unique_ptr<net::Stream> stream{};
    Clock::time_point since{};
  };
  [[nodiscard]] std::unique_ptr<net::Stream> take(const Upstream& upstream);
  void keep(const Upstream& upstream, std::unique_ptr<net::Stream> stream);

  ConnectTls connect_;
  std::vector<Kept> kept_;
};

}  // namespace soleroute::gateway::dns
