// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/readiness.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <memory>
#include <vector>

#include "tests/support/peer.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::net {
namespace {

using boost::asio::awaitable;
using For = Readiness::For;

class ReadinessTest : public ::testing::Test {
 protected:
  void run(awaitable<void> test) {
    boost::asio::co_spawn(io, std::move(test), [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    io.run();
    io.restart();
  }
  void send(std::size_t count) {
    const std::vector<char> bytes(count);
    EXPECT_EQ(::send(far.get(), bytes.data(), count, 0), static_cast<ssize_t>(count));
  }
  // Bytes read, or a negated errno.
  [[nodiscard]] long receive(std::size_t count) const {
    std::vector<char> bytes(count);
    const ssize_t received = ::recv(near.get(), bytes.data(), count, MSG_DONTWAIT);
    return received < 0 ? -errno : received;
  }
  // Lets the loop take the events that are there, with nobody waiting for them.
  awaitable<void> loop_turns() {
    for (int turn = 0; turn < 3; ++turn) co_await boost::asio::post(io, boost::asio::use_awaitable);
  }

  std::pair<base::Fd, base::Fd> pair = test::tcp_pair();
  base::Fd far = std::move(pair.first);
  base::Fd near = std::move(pair.second);
  boost::asio::io_context io;
  Readiness readiness{io, near.get()};
};

TEST_F(ReadinessTest, TellsWhatIsThereBeforeTheFirstWait) {
  const auto test = [this]() -> awaitable<void> {
    send(1);
    EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
    EXPECT_EQ(receive(8), 1);
    EXPECT_EQ(co_await readiness.wait(For::kWriting), 0);
  };
  run(test());
}

TEST_F(ReadinessTest, TellsEachTimeThatMoreComes) {
  const auto test = [this]() -> awaitable<void> {
    for (int round = 0; round < 100; ++round) {
      EXPECT_EQ(receive(8), -EAGAIN);
      boost::asio::post(io, [this] { send(3); });
      EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
      EXPECT_EQ(receive(8), 3);
    }
  };
  run(test());
}

TEST_F(ReadinessTest, DoesNotLoseWhatCameWhileNobodyWaited) {
  const auto test = [this]() -> awaitable<void> {
    EXPECT_EQ(co_await readiness.wait(For::kWriting), 0) << "registers it";
    for (int round = 0; round < 100; ++round) {
      EXPECT_EQ(receive(8), -EAGAIN);
      send(1);
      co_await loop_turns();
      EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
      EXPECT_EQ(receive(8), 1);
    }
  };
  run(test());
}

TEST_F(ReadinessTest, DoesNotLoseAResetBetweenTheFirstTwoWaitsForRoom) {
  const auto test = [this]() -> awaitable<void> {
    EXPECT_EQ(co_await readiness.wait(For::kWriting), 0) << "registers it";
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(far.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    far.reset();
    co_await loop_turns();
    EXPECT_EQ(co_await readiness.wait(For::kWriting), 0);
  };
  run(test());
}

TEST_F(ReadinessTest, TellsTheEnd) {
  const auto test = [this]() -> awaitable<void> {
    EXPECT_EQ(receive(8), -EAGAIN);
    boost::asio::post(io, [this] { ::shutdown(far.get(), SHUT_WR); });
    EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
    EXPECT_EQ(receive(8), 0);
  };
  run(test());
}

TEST_F(ReadinessTest, TellsAResetThatCameWithBytesOnceMore) {
  const auto test = [this]() -> awaitable<void> {
    EXPECT_EQ(receive(8), -EAGAIN);
    boost::asio::post(io, [this] {
      send(3);
      test::Peer(std::move(far)).abort();
    });
    EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
    EXPECT_EQ(receive(8), 3);
    EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
    EXPECT_EQ(receive(8), -ECONNRESET);
  };
  run(test());
}

TEST_F(ReadinessTest, TellsAReset) {
  const auto test = [this]() -> awaitable<void> {
    EXPECT_EQ(receive(8), -EAGAIN);
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(far.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    boost::asio::post(io, [this] { far.reset(); });
    EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
    EXPECT_EQ(receive(8), -ECONNRESET);
  };
  run(test());
}

TEST_F(ReadinessTest, TellsWhenThereIsRoomAgain) {
  const auto test = [this]() -> awaitable<void> {
    const std::vector<char> bytes(1 << 16);
    while (::send(near.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
    EXPECT_FALSE(readiness.ready_now(For::kWriting));
    boost::asio::post(io, [this] {
      std::vector<char> sink(1 << 16);
      while (::recv(far.get(), sink.data(), sink.size(), MSG_DONTWAIT) > 0) {
      }
    });
    EXPECT_EQ(co_await readiness.wait(For::kWriting), 0);
    EXPECT_GT(::send(near.get(), bytes.data(), 1, MSG_DONTWAIT), 0);
  };
  run(test());
}

TEST_F(ReadinessTest, TellsAllWhoWaitForTheSame) {
  int told = 0;
  const auto one = [this, &told]() -> awaitable<void> {
    EXPECT_EQ(co_await readiness.wait(For::kReading), 0);
    ++told;
  };
  const auto test = [this, &one]() -> awaitable<void> {
    EXPECT_EQ(receive(8), -EAGAIN);
    for (int i = 0; i < 3; ++i) boost::asio::co_spawn(io, one(), [](const std::exception_ptr&) {});
    co_await loop_turns();
    send(1);
  };
  run(test());
  EXPECT_EQ(told, 3);
}

// What `waiter` was told, in order.
class Told final : public Readiness::Waiter {
 public:
  void ready(int error) override { errors.push_back(error); }
  std::vector<int> errors;
};

TEST_F(ReadinessTest, TellsAWaiterOnceAndLetsItGo) {
  auto waiter = std::make_shared<Told>();
  EXPECT_FALSE(readiness.watched(For::kReading));
  readiness.wait(For::kReading, waiter);
  EXPECT_TRUE(readiness.watched(For::kReading));
  EXPECT_FALSE(readiness.watched(For::kWriting));
  io.poll();
  EXPECT_TRUE(waiter->errors.empty());
  send(1);
  io.run();
  EXPECT_EQ(waiter->errors, std::vector<int>{0});
  EXPECT_EQ(waiter.use_count(), 1);
  io.restart();
  EXPECT_EQ(receive(8), 1);
  EXPECT_EQ(receive(8), -EAGAIN);
  readiness.wait(For::kReading, waiter);
  readiness.cancel();
  io.run();
  EXPECT_EQ(waiter->errors, (std::vector<int>{0, ECANCELED}));
  EXPECT_EQ(waiter.use_count(), 1);
}

TEST_F(ReadinessTest, LetsAWaiterGoUntoldWhenTheLoopIsDestroyed) {
  auto waiter = std::make_shared<Told>();
  {
    boost::asio::io_context other;
    Readiness short_lived(other, far.get());
    short_lived.wait(For::kReading, waiter);
    short_lived.wait(For::kReading, waiter);
    other.poll();
    EXPECT_EQ(waiter.use_count(), 3);
    short_lived.forget();
  }
  EXPECT_EQ(waiter.use_count(), 1);
  EXPECT_TRUE(waiter->errors.empty());
}

TEST_F(ReadinessTest, EndsAWaitThatIsCancelledAndTakesNoneOnceForgotten) {
  const auto test = [this]() -> awaitable<void> {
    boost::asio::post(io, [this] { readiness.cancel(); });
    EXPECT_EQ(co_await readiness.wait(For::kReading), ECANCELED);
    boost::asio::post(io, [this] { readiness.forget(); });
    int ended = 0;
    while (ended == 0) ended = co_await readiness.wait(For::kReading);  // it may say "try" before
    EXPECT_EQ(ended, ECANCELED);
    EXPECT_EQ(co_await readiness.wait(For::kReading), ECANCELED);
  };
  run(test());
}

TEST_F(ReadinessTest, AnswersAtOnceForThoseWhoHaveNotTried) {
  EXPECT_FALSE(readiness.ready_now(For::kReading));
  EXPECT_TRUE(readiness.ready_now(For::kWriting));
  send(1);
  while (!readiness.ready_now(For::kReading)) {
  }
  EXPECT_EQ(receive(8), 1);
}

// A flow that holds both streams and waits for each: the loop's end destroys it once.
TEST(Readiness, LeavesNothingBehindWhenTheLoopIsDestroyedUnderItsWaits) {
  auto [far, near] = test::tcp_pair();
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = alive;
  {
    boost::asio::io_context io;
    const auto wait = [](std::shared_ptr<Readiness> readiness, std::shared_ptr<int> token,
                         For what) -> awaitable<void> {
      co_await readiness->wait(what);
      ++*token;
    };
    const std::vector<char> bytes(1 << 16);
    while (::send(near.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
    const auto readiness = std::make_shared<Readiness>(io, near.get());
    boost::asio::co_spawn(io, wait(readiness, alive, For::kReading), [](const std::exception_ptr&) {});
    boost::asio::co_spawn(io, wait(readiness, std::move(alive), For::kWriting), [](const std::exception_ptr&) {});
    io.poll();
    EXPECT_FALSE(watch.expired());
  }
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace soleroute::gateway::net
