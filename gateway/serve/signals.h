// The signals that whoever holds a namespace obeys: SIGHUP reads the policy again, SIGTERM and SIGINT end it.
// Used on the controlling thread's event loop; the loop outlives it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
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

  boost::asio::signal_set signals_;
  Action reload_;
  Action stop_;
};

}  // namespace soleroute::gateway::serve
