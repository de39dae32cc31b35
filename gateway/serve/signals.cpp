// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/signals.h"

#include <csignal>
#include <utility>

namespace soleroute::gateway::serve {

Signals::Signals(boost::asio::io_context& loop, Action reload, Action stop)
    : signals_(loop), reload_(std::move(reload)), stop_(std::move(stop)) {}

void Signals::obey() {
  for (const int number : {SIGHUP, SIGTERM, SIGINT}) signals_.add(number);
  await();
}

void Signals::await() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number != SIGHUP) return stop_();
    reload_();
    await();
  });
}

}  // namespace soleroute::gateway::serve
