// Lets one coroutine sleep until another says that something has happened; set before the wait, it is not lost.
// Not thread-safe: belongs to one worker. Must outlive who waits on it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace soleroute::gateway::net {

class Event {
 public:
  explicit Event(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  void set() {
    set_ = true;
    if (waiting_) timer_.cancel();
  }
  // However often it was set, once.
  [[nodiscard]] boost::asio::awaitable<void> wait() {
    while (!set_) {
      waiting_ = true;
      co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      waiting_ = false;
    }
    set_ = false;
  }

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
  bool waiting_ = false;
};

}  // namespace soleroute::gateway::net
