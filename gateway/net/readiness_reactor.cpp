// Registered once with the loop's reactor, edge-triggered, so that a wait costs no system call.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <sys/epoll.h>

#include <boost/asio/awaitable.hpp>  // before the parts of detail, which include one another
#include <boost/asio/detail/op_queue.hpp>
#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/version.hpp>
#include <cerrno>
#include <memory>
#include <utility>

#include "gateway/net/readiness.h"

// What is used of the reactor is no public interface; Debian 12 has this version, another must be read first.
static_assert(BOOST_VERSION == 108100,
              "build with -DSOLEROUTE_PORTABLE_READINESS=ON, or read asio/detail/epoll_reactor.hpp of this Boost and "
              "change the number");

namespace soleroute::gateway::net {
namespace {

namespace asio = boost::asio;
using asio::detail::reactor_op;
using Reactor = asio::detail::reactor;
using Registered = Reactor::per_descriptor_data;

Reactor& reactor_of(void* loop) {
  return *static_cast<Reactor*>(loop);
}

// The events that were told last, which Asio keeps in what the descriptor's state is derived from.
struct LastEvents final : asio::detail::operation {
  static unsigned& of(Registered state) {
    void* const object = state;  // its base is private
    return static_cast<asio::detail::operation*>(object)->*&LastEvents::task_result_;
  }
};

// A reset may come along with the last bytes, and who was told of them need not try again after a read that left
// nothing (TCP_INQ counts an end, but not a reset): so the wait after that one is told as well. Once, lest anything
// turn in a loop.
bool tell_again(Registered state) {
  constexpr unsigned kBrokenOff = EPOLLERR | EPOLLHUP;
  unsigned& events = LastEvents::of(state);
  const bool broken_off = (events & kBrokenOff) != 0;
  events &= ~kBrokenOff;
  return broken_off;
}

// One wait. The reactor calls perform() for each event, and once before it queues the operation if there was an event
// since the last one was taken.
template <class Handler>
class Wait final : public reactor_op {
 public:
  Wait(Handler handler, bool queued_first)
      : reactor_op({}, &Wait::perform, &Wait::complete), handler_(std::move(handler)), queued_first_(queued_first) {}
  void reads_from(Registered state) { read_from_ = state; }

 private:
  static status perform(reactor_op* base) {
    auto* const self = static_cast<Wait*>(base);
    if (std::exchange(self->queued_first_, false)) return not_done;
    // The last of those that wait takes the edge: until the next one, waits are queued.
    const bool last = asio::detail::op_queue_access::next(base) == nullptr;
    if (!last || (self->read_from_ != nullptr && tell_again(self->read_from_))) return done;
    return done_and_exhausted;
  }

  static void complete(void* loop, asio::detail::operation* base, const boost::system::error_code&, std::size_t) {
    std::unique_ptr<Wait> self(static_cast<Wait*>(base));
    Handler handler(std::move(self->handler_));
    const int error = self->ec_.value();
    self.reset();
    if (loop != nullptr) std::move(handler)(error);  // null: the loop is being destroyed, and with the handler its flow
  }

  Handler handler_;
  Registered read_from_ = nullptr;
  bool queued_first_;
};

}  // namespace

Readiness::Readiness(asio::io_context& io, int fd) : loop_(&asio::use_service<Reactor>(io)), fd_(fd) {
  reactor_of(loop_).init_task();
}

Readiness::~Readiness() {
  forget();
}

template <class Handler>
void Readiness::begin(For what, Handler handler) {
  const bool reading = what == For::kReading;
  // The kernel reports what is ready already when it is told to watch for it: such a wait is always queued.
  const bool first_writing = !reading && !std::exchange(writing_asked_, true);
  const bool told = registered_ == nullptr || first_writing;
  auto wait = std::make_unique<Wait<Handler>>(std::move(handler), told);
  Reactor& reactor = reactor_of(loop_);
  auto state = static_cast<Registered>(registered_);
  int error = fd_ < 0 ? ECANCELED : 0;
  if (error == 0 && state == nullptr) {
    error = reactor.register_descriptor(fd_, state);
    registered_ = state;
  }
  if (error != 0) {
    wait->ec_.assign(error, boost::system::system_category());
    return reactor.post_immediate_completion(wait.release(), false);
  }
  if (reading) wait->reads_from(state);
  reactor.start_op(reading ? Reactor::read_op : Reactor::write_op, fd_, state, wait.release(), false, true);
}

asio::awaitable<int> Readiness::wait(For what) {
  const auto start = [this, what](auto handler) { begin(what, std::move(handler)); };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(int)>(start, asio::use_awaitable);
}

void Readiness::wait(For what, std::shared_ptr<Waiter> waiter) {
  begin(what, [waiter = std::move(waiter)](int error) { waiter->ready(error); });
}

void Readiness::cancel() {
  auto state = static_cast<Registered>(registered_);
  reactor_of(loop_).cancel_ops(fd_, state);
}

void Readiness::forget() {
  constexpr bool kClosing = true;  // closing it takes it out of epoll
  auto state = static_cast<Registered>(registered_);
  reactor_of(loop_).deregister_descriptor(fd_, state, kClosing);
  reactor_of(loop_).cleanup_descriptor_data(state);
  registered_ = nullptr;
  fd_ = -1;
}

}  // namespace soleroute::gateway::net
