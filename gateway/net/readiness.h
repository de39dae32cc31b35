// When a descriptor is worth trying again. Not thread-safe: belongs to one loop.
// Two implementations, of which the build takes one: readiness_reactor.cpp, whose waits cost no system call, and
// readiness_async_wait.cpp, for any version of Boost. docs/decisions/readiness.md
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <poll.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>

namespace soleroute::gateway::net {

class Readiness {
 public:
  enum class For { kReading, kWriting };

  // Is told once for each wait, from the loop: 0 or an errno, as below.
  class Waiter {
   public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() = default;
    virtual void ready(int error) = 0;
  };

  // Borrows `fd`, which is non-blocking; forget() comes before it is closed.
  Readiness(boost::asio::io_context& io, int fd);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // 0 when it is worth trying (it may still block), or an errno: ECANCELED. Registers on first use. Since the last wait
  // for the same, an attempt must have said that it would block, or ready_now() that it is not: an edge is told once.
  // Several may wait for the same: all are told.
  [[nodiscard]] boost::asio::awaitable<int> wait(For what);
  // The same without a coroutine. `waiter` is held until it is told, or until the loop is destroyed.
  void wait(For what, std::shared_ptr<Waiter> waiter);
  // Is it ready as it stands? For those who have not tried.
  [[nodiscard]] bool ready_now(For what) const {
    pollfd state{.fd = fd_, .events = static_cast<short>(what == For::kReading ? POLLIN : POLLOUT), .revents = 0};
    return ::poll(&state, 1, 0) != 0;
  }
  // Its first wait needs neither: the kernel reports what is ready already when it is told to watch for it.
  [[nodiscard]] bool watched(For what) const {
    return registered_ != nullptr && (what == For::kReading || writing_asked_);
  }

  void cancel();  // every wait in progress ends
  void forget();  // likewise, and nothing is waited for any more

 private:
  template <class Handler>
  void begin(For what, Handler handler);

  // What the implementation holds of Asio, whose types stay out of here.
  void* loop_;
  void* registered_ = nullptr;  // from the first wait until forget()
  int fd_;
  bool writing_asked_ = false;  // room to write is watched for from then on
};

}  // namespace soleroute::gateway::net
