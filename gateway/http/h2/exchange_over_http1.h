// One allowed HTTP/2 request whose origin speaks HTTP/1.1.
// Runs on its worker's thread; everything given is borrowed until it returns.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>

#include "gateway/http/h2/exchange.h"
#include "gateway/http/h2/request.h"
#include "gateway/http2/stream.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::http::h2 {

// What all streams of one client connection hold of answers that come over HTTP/1 and that the client has not taken. An
// origin of HTTP/2 is held by the window of its connection.
struct AnswerBudget {
  static constexpr std::size_t kMost = std::size_t{1} << 20;
  std::size_t held = 0;
};

// As exchange_over_http2().
[[nodiscard]] boost::asio::awaitable<StreamResult> exchange_over_http1(net::DeadlineWheel& wheel, http2::Stream& client,
                                                                       net::Stream& origin, const Request& request,
                                                                       AnswerBudget& budget);

}  // namespace soleroute::gateway::http::h2
