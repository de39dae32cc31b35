// What the coroutine of one HTTP/2 stream sleeps on: news of its streams, or the end of its time.
// Not thread-safe: belongs to one worker. Must outlive who waits on it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>

#include "gateway/http2/stream.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/event.h"

namespace soleroute::gateway::http::h2 {

class StreamWaiter final : private net::Deadline {
 public:
  StreamWaiter(const boost::asio::any_io_executor& executor, net::DeadlineWheel& wheel)
      : wheel_(wheel), event_(executor) {}
  ~StreamWaiter() override { disarm(); }

  void expires_after(std::chrono::milliseconds duration) {
    timed_out_ = false;
    arm(wheel_, duration);
  }
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  void set() { event_.set(); }
  [[nodiscard]] boost::asio::awaitable<void> wait() { return event_.wait(); }

 private:
  void expired() override {
    timed_out_ = true;
    event_.set();
  }

  net::DeadlineWheel& wheel_;
  net::Event event_;
  bool timed_out_ = false;
};

// While it lives, the waiter hears of the stream.
class Listening {
 public:
  Listening(http2::Stream& stream, StreamWaiter& waiter) : stream_(stream) {
    stream_.on_change = [&waiter] { waiter.set(); };
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { stream_.on_change = nullptr; }

 private:
  http2::Stream& stream_;
};

}  // namespace soleroute::gateway::http::h2
