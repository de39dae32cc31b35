// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/watch.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace soleroute::gateway::host {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Descriptor = asio::posix::stream_descriptor;

}  // namespace

struct Watch::State : std::enable_shared_from_this<Watch::State> {
  State(asio::io_context& to, std::function<void()> how) : io(to), look(std::move(how)), timer(to) {}

  void listen(Descriptor& socket) {
    socket.async_wait(Descriptor::wait_read,
                      [self = shared_from_this(), &socket](const boost::system::error_code& error) {
                        if (error || self->cancelled) return;
                        self->changes->hear();
                        self->told = true;
                        self->wake_at(std::max(Clock::now(), self->looked + kPause));
                        self->listen(socket);
                      });
  }

  // The earliest moment that was asked for counts.
  void wake_at(Clock::time_point when) {
    if (next && *next <= when) return;
    next = when;
    timer.expires_at(when);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled) return;
      self->wake();
    });
  }

  void wake() {
    next.reset();
    look();
    told = false;
    looked = Clock::now();
    if (cancelled) return;
    wake_at(looked + (std::exchange(again, false) ? kPause : kPeriod));
  }

  void stop() {
    cancelled = true;
    timer.cancel();
    for (Descriptor& socket : sockets) socket.release();  // which ends its waits; `changes` closes them
    sockets.clear();
  }

  asio::io_context& io;
  std::function<void()> look;
  asio::steady_timer timer;
  std::optional<netlink::Changes> changes;
  std::vector<Descriptor> sockets;  // borrowed from `changes`
  std::optional<Clock::time_point> next;
  Clock::time_point looked;
  bool told = false;
  bool again = false;
  bool cancelled = false;
};

Watch::Watch(asio::io_context& io, std::function<void()> look) : state_(std::make_shared<State>(io, std::move(look))) {}

Watch::~Watch() {
  cancel();
}

base::Status Watch::start(netlink::Changes::About about) {
  state_->wake_at(Clock::now() + kPeriod);
  SR_LET(changes, netlink::Changes::subscribe(about));
  state_->changes = std::move(*changes);
  for (const int socket : state_->changes->sockets()) state_->sockets.emplace_back(state_->io, socket);
  for (Descriptor& socket : state_->sockets) state_->listen(socket);
  return {};
}

bool Watch::was_told() const {
  return state_->told;
}

void Watch::look_again_soon() {
  state_->again = true;
}

void Watch::cancel() {
  if (!state_->cancelled) state_->stop();
}

}  // namespace soleroute::gateway::host
