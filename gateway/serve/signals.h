// The signals that the gateway and the guard obey: SIGHUP reloads the policy, SIGTERM and SIGINT end the program.
// SIGHUPs that come within 10 ms, or while a reload runs, lead to one reload, which begins after the last of them.
// Used on the controlling thread's event loop; the loop outlives it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

namespace soleroute::gateway::serve {

class Signals {
 public:
  using Action = std::function<void()>;

  Signals(boost::asio::io_context& loop, Action reload, Action stop);
  // From here on. Before that a signal has its default effect; one that comes before the loop runs waits for it.
  void obey();

 private:
  void await();
  void reload_soon();

  boost::asio::signal_set signals_;
  boost::asio::steady_timer gathering_;
  bool reload_is_due_ = false;
  Action reload_;
  Action stop_;
};

}  // namespace soleroute::gateway::serve
