// One allowed HTTP/2 request and its answer: both bodies stream at once in constant memory, a reset on one side becomes
// one on the other.
// Runs on its worker's thread; everything given is borrowed until it returns.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "gateway/http/h2/request.h"
#include "gateway/http/outcome.h"
#include "gateway/http2/session.h"
#include "gateway/http2/stream.h"
#include "gateway/net/deadline_wheel.h"
#include "policy/decision.h"

namespace soleroute::gateway::http::h2 {

struct StreamResult {
  Outcome outcome{};
  bool untouched = false;  // the origin has not begun on it, and nothing of the body is gone: it can be asked elsewhere
  bool reusable = false;   // HTTP/1: the connection can carry another request
};

// Without a status in the result the client has not been answered, and its stream is open or was reset by the client.
[[nodiscard]] boost::asio::awaitable<StreamResult> exchange_over_http2(net::DeadlineWheel& wheel, http2::Stream& client,
                                                                       http2::Session& origin, const Request& request);

// Until what was sent has left, or the client is gone; ends a request body that nobody wants.
[[nodiscard]] boost::asio::awaitable<void> finish_answer(net::DeadlineWheel& wheel, http2::Stream& client);

}  // namespace soleroute::gateway::http::h2
