// Coarse deadlines for thousands of connections on one timer: a hashed wheel of 100 ms ticks.
// One per worker; used on that worker's thread only.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <vector>

namespace soleroute::gateway::net {

using Clock = std::chrono::steady_clock;

class DeadlineWheel;

// Something that can run out of time. Disarms itself on destruction; must not move while armed.
class Deadline {
 public:
  Deadline() = default;
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Moves the deadline; cheap when it only moves later.
  void arm(DeadlineWheel& wheel, std::chrono::milliseconds from_now);
  void disarm();

 protected:
  virtual ~Deadline() { disarm(); }

 private:
  friend class DeadlineWheel;
  virtual void expired() = 0;  // on the worker's thread, at most one tick late
  DeadlineWheel* wheel_ = nullptr;
  Deadline* previous_ = nullptr;
  Deadline* next_ = nullptr;
  Clock::time_point due_{};
  std::size_t slot_ = 0;
};

class DeadlineWheel {
 public:
  static constexpr std::chrono::milliseconds kTick{100};
  explicit DeadlineWheel(boost::asio::io_context& io);
  ~DeadlineWheel();
  [[nodiscard]] Clock::time_point now() const { return now_; }  // as of the last tick

 private:
  friend class Deadline;
  void insert(Deadline& deadline);
  void unlink(Deadline& deadline);
  void schedule();
  void tick();
  void drain(std::size_t slot, Clock::time_point now);

  static constexpr std::size_t kSlots = 512;
  static constexpr std::size_t kDraining = kSlots;  // the list being looked at, so that any of it may be disarmed
  boost::asio::steady_timer timer_;
  std::vector<Deadline*> slots_;
  std::size_t cursor_ = 0;
  std::size_t armed_ = 0;
  bool running_ = false;
  Clock::time_point now_ = Clock::now();
};

}  // namespace soleroute::gateway::net
