// Carries the rest of a request body from the client to the origin beside the answer, which may come before its end.
// Used on its worker's thread; must have ended before it is destroyed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "gateway/http/h1/body.h"
#include "gateway/http/h1/buffer.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::http::h1 {

class Upload {
 public:
  enum class Fault : std::uint8_t { kNone, kClientGone, kTimedOut, kMalformed };

  enum class Progress : std::uint8_t { kWaits, kEnded };

  // `progress` is called before every wait and after the end. On a fault the origin's stream
  // is closed, which ends every wait for its answer.
  Upload(net::Stream& client, ReadBuffer& received, net::Stream& origin, BodyTracker body,
         std::function<void(Progress)> progress);

  void start(const boost::asio::any_io_executor& executor);
  // The answer is complete, or the origin is gone: whatever still comes of the body is thrown away, for a moment and
  // up to a bound, so that no reset overtakes the answer. Waits for the end of that.
  [[nodiscard]] boost::asio::awaitable<void> abandon();
  // The origin takes no more, but may still be answering.
  void origin_is_deaf() { unwanted_ = true; }

  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool delivered() const { return body_.done() && !unwanted_; }
  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] std::string_view malformed_reason() const { return body_.fault(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // of the body, since start()

 private:
  [[nodiscard]] boost::asio::awaitable<void> run();
  enum class Next : std::uint8_t { kGoesOn, kOver };
  [[nodiscard]] boost::asio::awaitable<Next> move_some();
  [[nodiscard]] boost::asio::awaitable<Next> move_bulk();
  [[nodiscard]] std::optional<BodyTracker::Piece> take(base::Bytes bytes);  // nothing: malformed, which is a fault
  void fail(Fault fault);

  net::Stream& client_;
  ReadBuffer& received_;
  net::Stream& origin_;
  BodyTracker body_;
  std::function<void(Progress)> progress_;
  boost::asio::steady_timer* end_event_ = nullptr;  // cancelled at the end, if abandon() waits
  bool running_ = false;                            // until the end is told
  bool ended_ = false;
  bool unwanted_ = false;
  Fault fault_ = Fault::kNone;
  std::uint64_t bytes_ = 0;
  std::size_t drained_ = 0;
};

}  // namespace soleroute::gateway::http::h1
