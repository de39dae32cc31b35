// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/signals.h"

#include <chrono>
#include <csignal>
#include <utility>

namespace soleroute::gateway::serve {
namespace {

constexpr std::chrono::milliseconds kGather{10};

}  // namespace

Signals::Signals(boost::asio::io_context& loop, Action reload, Action stop)
    : signals_(loop), gathering_(loop), reload_(std::move(reload)), stop_(std::move(stop)) {}

void Signals::obey() {
  for (const int number : {SIGHUP, SIGTERM, SIGINT}) signals_.add(number);
  await();
}

void Signals::await() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number != SIGHUP) return stop_();
    reload_soon();
    await();
  });
}

void Signals::reload_soon() {
  if (std::exchange(reload_is_due_, true)) return;
  gathering_.expires_after(kGather);
  gathering_.async_wait([this](const boost::system::error_code& error) {
    reload_is_due_ = false;
    if (!error) reload_();
  });
}

}  // namespace soleroute::gateway::serve
