// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/deadline_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

namespace soleroute::gateway::net {
namespace {

using namespace std::chrono_literals;

class Bell final : public Deadline {
 public:
  explicit Bell(std::function<void()> ring) : ring_(std::move(ring)) {}
  ~Bell() override = default;

 private:
  void expired() override { ring_(); }
  std::function<void()> ring_;
};

TEST(DeadlineWheel, RingsNotBeforeItsTimeAndAtMostTwoTicksLate) {
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  const auto start = Clock::now();
  Clock::duration rang{};
  Bell bell([&] { rang = Clock::now() - start; });
  bell.arm(wheel, 250ms);
  io.run();
  EXPECT_GE(rang, 250ms);
  EXPECT_LE(rang, 250ms + 4 * DeadlineWheel::kTick);
}

TEST(DeadlineWheel, RingsOnceAndLaterWhenPutOff) {
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  const auto start = Clock::now();
  int rings = 0;
  Bell bell([&] { ++rings; });
  bell.arm(wheel, 100ms);
  bell.arm(wheel, 400ms);
  io.run();
  EXPECT_EQ(rings, 1);
  EXPECT_GE(Clock::now() - start, 400ms);
}

TEST(DeadlineWheel, CanBeBroughtForward) {
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  const auto start = Clock::now();
  Bell bell([] {});
  bell.arm(wheel, 1h);
  bell.arm(wheel, 100ms);
  io.run();
  EXPECT_LT(Clock::now() - start, 5s);
}

TEST(DeadlineWheel, StaysSilentWhenDisarmedOrGone) {
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  int rings = 0;
  Bell disarmed([&] { ++rings; });
  disarmed.arm(wheel, 100ms);
  disarmed.disarm();
  {
    Bell gone([&] { ++rings; });
    gone.arm(wheel, 100ms);
  }
  Bell control([&] { rings += 10; });
  control.arm(wheel, 200ms);
  io.run();
  EXPECT_EQ(rings, 10);
}

TEST(DeadlineWheel, LetsOneThatRingsDisarmItsNeighbours) {
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  std::vector<std::unique_ptr<Bell>> bells;
  int rings = 0;
  for (int i = 0; i < 8; ++i) {
    bells.push_back(std::make_unique<Bell>([&, i] {
      ++rings;
      for (int j = 0; j < 8; ++j) {
        if (j != i) bells[static_cast<std::size_t>(j)]->disarm();
      }
    }));
    bells.back()->arm(wheel, 100ms);
  }
  io.run();
  EXPECT_EQ(rings, 1);
}

TEST(DeadlineWheel, HoldsDeadlinesOfMoreThanOneRound) {
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  int rings = 0;
  Bell far([&] { ++rings; });
  far.arm(wheel, 1h);
  io.run_for(300ms);
  EXPECT_EQ(rings, 0);
}

}  // namespace
}  // namespace soleroute::gateway::net
