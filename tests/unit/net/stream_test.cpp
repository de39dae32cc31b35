// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/stream.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <string>
#include <vector>

#include "base/byte_reader.h"
#include "tests/support/peer.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::net {
namespace {

using namespace std::chrono_literals;
using boost::asio::awaitable;

struct Fixture {
  Fixture() : Fixture(test::tcp_pair()) {}
  explicit Fixture(std::pair<base::Fd, base::Fd> pair)
      : peer(std::move(pair.first)), stream(io, wheel, std::move(pair.second)) {}

  void run(awaitable<void> test) {
    boost::asio::co_spawn(io, std::move(test), [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    io.run();
  }

  // And not until the stream's deadline has passed.
  void run_to_the_end_of(awaitable<void> test) {
    boost::asio::co_spawn(io, std::move(test), [this](const std::exception_ptr& error) {
      EXPECT_FALSE(error);
      io.stop();
    });
    io.run();
  }

  boost::asio::io_context io;
  DeadlineWheel wheel{io};
  base::Fd peer;
  TcpStream stream;
};

awaitable<void> read_to_end(Stream& stream, std::string& into) {
  std::array<std::byte, 7> buffer{};
  for (;;) {
    const auto count = co_await stream.read_some(buffer);
    EXPECT_TRUE(count);
    if (!count || *count == 0) co_return;
    into += base::as_text(std::span(buffer).first(*count));
  }
}

TEST(Stream, ReadsWhatWasSentAndThenTheEnd) {
  Fixture f;
  ASSERT_EQ(::send(f.peer.get(), "hello, world", 12, 0), 12);
  f.peer.reset();
  std::string read;
  f.run(read_to_end(f.stream, read));
  EXPECT_EQ(read, "hello, world");
}

awaitable<void> expect_timeout(Stream& stream) {
  stream.expires_after(100ms);
  std::array<std::byte, 8> buffer{};
  const auto count = co_await stream.read_some(buffer);
  EXPECT_FALSE(count);
  EXPECT_EQ(count ? 0 : count.error().sys_errno, ETIMEDOUT);
  EXPECT_TRUE(stream.timed_out());
  const auto again = co_await stream.wait_readable();
  EXPECT_EQ(again ? 0 : again.error().sys_errno, ETIMEDOUT) << "out of time stays out of time";
}

TEST(Stream, EndsAWaitWhenItsTimeHasRunOut) {
  Fixture f;
  f.run(expect_timeout(f.stream));
}

awaitable<void> expect_cancelled(Stream& stream, int& ended) {
  const auto readable = co_await stream.wait_readable();
  EXPECT_EQ(readable ? 0 : readable.error().sys_errno, ECANCELED);
  ++ended;
}

awaitable<void> close_later(Stream& stream) {
  stream.close();
  co_return;
}

TEST(Stream, EndsEveryWaitWhenItIsClosed) {
  Fixture f;
  int ended = 0;
  boost::asio::co_spawn(f.io, expect_cancelled(f.stream, ended), boost::asio::detached);
  f.run(close_later(f.stream));
  EXPECT_EQ(ended, 1);
  EXPECT_FALSE(f.stream.is_open());
}

TEST(Stream, ResetReachesThePeerAsAReset) {
  Fixture f;
  f.stream.reset();
  char byte = 0;
  EXPECT_EQ(::recv(f.peer.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST(Stream, CloseReachesThePeerAsAnEnd) {
  Fixture f;
  f.stream.close();
  char byte = 0;
  EXPECT_EQ(::recv(f.peer.get(), &byte, 1, 0), 0);
}

awaitable<void> write_much(Stream& stream, const std::vector<std::byte>& bytes) {
  stream.expires_after(10s);
  const auto written = co_await stream.write_all(bytes);
  EXPECT_TRUE(written);
  stream.never_expires();
  stream.shutdown_send();
}

awaitable<void> drain(Stream& stream, std::size_t& total) {
  std::vector<std::byte> buffer(65536);
  for (;;) {
    const auto count = co_await stream.read_some(buffer);
    if (!count || *count == 0) co_return;
    total += *count;
  }
}

TEST(Stream, WritesMoreThanTheSocketHolds) {
  Fixture f;
  TcpStream other(f.io, f.wheel, std::move(f.peer));
  const std::vector<std::byte> bytes(8 << 20);
  std::size_t total = 0;
  boost::asio::co_spawn(f.io, drain(other, total), boost::asio::detached);
  f.run(write_much(f.stream, bytes));
  EXPECT_EQ(total, bytes.size());
}

TEST(Stream, TriesWithoutWaiting) {
  Fixture f;
  std::array<std::byte, 8> buffer{};
  EXPECT_TRUE(f.stream.try_read_some(buffer).would_block()) << "nothing there";
  ASSERT_EQ(::send(f.peer.get(), "x", 1, 0), 1);
  auto read = IoResult::blocked();
  while (read.would_block()) read = f.stream.try_read_some(buffer);
  ASSERT_TRUE(read.has_bytes());
  EXPECT_EQ(read.count(), 1U);
}

// What is accepted is told from the start what a read has left; what is connected asks once reads were in vain.
struct BothSides : ::testing::TestWithParam<bool> {
  static Fixture fixture() {
    auto pair = test::tcp_pair();
    if (!GetParam()) std::swap(pair.first, pair.second);
    return Fixture(std::move(pair));
  }
  static void read_in_vain(Fixture& f) {
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(::send(f.peer.get(), "x", 1, 0), 1);
    while (f.stream.try_read_some(buffer).would_block()) {
    }
    EXPECT_EQ(f.stream.wait_before_reading(), GetParam());
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(f.stream.try_read_some(buffer).would_block());
  }
};

bool happens(Stream& stream, short what) {
  pollfd asked{stream.native_handle(), what, 0};
  return ::poll(&asked, 1, test::kPatienceMs) == 1;
}

std::string read_now(Fixture& f) {
  std::array<std::byte, 4> buffer{};
  EXPECT_TRUE(happens(f.stream, POLLIN));
  const auto read = f.stream.try_read_some(buffer);
  const bool nothing = read.would_block() || read.failed();
  return nothing ? "nothing" : std::string(base::as_text(std::span(buffer).first(read.count())));
}

TEST_P(BothSides, KnowWhenAReadHasLeftNothing) {
  Fixture f = fixture();
  read_in_vain(f);
  EXPECT_TRUE(f.stream.wait_before_reading()) << "it would block";
  ASSERT_EQ(::send(f.peer.get(), "abcdef", 6, 0), 6);
  EXPECT_EQ(read_now(f), "abcd");
  EXPECT_FALSE(f.stream.wait_before_reading()) << "two are left";
  EXPECT_EQ(read_now(f), "ef");
  EXPECT_TRUE(f.stream.wait_before_reading());
}

TEST_P(BothSides, TakeAnEndForSomethingLeft) {
  Fixture f = fixture();
  read_in_vain(f);
  ASSERT_EQ(::send(f.peer.get(), "abc", 3, 0), 3);
  f.peer.reset();
  ASSERT_TRUE(happens(f.stream, POLLRDHUP));
  EXPECT_EQ(read_now(f), "abc");
  EXPECT_FALSE(f.stream.wait_before_reading());
  EXPECT_EQ(read_now(f), "") << "the end";
}

awaitable<void> read_one_after_another(Stream& stream, Fixture& f, int& messages) {
  std::array<std::byte, 8> buffer{};
  for (; messages < 100; ++messages) {
    EXPECT_TRUE(stream.wait_before_reading()) << messages;
    EXPECT_EQ(::send(f.peer.get(), "x", 1, 0), 1);
    const auto count = co_await stream.read_some(buffer);
    EXPECT_TRUE(count && *count == 1);
  }
}

TEST_P(BothSides, LoseNothingByWaitingBeforeReading) {
  Fixture f = fixture();
  f.stream.expires_after(10s);
  read_in_vain(f);
  int messages = 0;
  f.run_to_the_end_of(read_one_after_another(f.stream, f, messages));
  EXPECT_EQ(messages, 100);
}

// The kernel does not count a reset as something left.
awaitable<void> read_a_reset_with_its_bytes(Fixture& f, bool first_waits) {
  std::array<std::byte, 8> buffer{};
  if (!first_waits) {
    const auto writable = co_await f.stream.wait_writable();  // registers it
    EXPECT_TRUE(writable);
  }
  EXPECT_EQ(::send(f.peer.get(), "abc", 3, 0), 3);
  test::Peer(std::move(f.peer)).abort();
  const auto count = co_await f.stream.read_some(buffer);
  EXPECT_TRUE(count && *count == 3);
  EXPECT_TRUE(f.stream.wait_before_reading()) << "what it says";
  const auto end = co_await f.stream.read_some(buffer);
  EXPECT_FALSE(end);
  EXPECT_EQ(end ? 0 : end.error().sys_errno, ECONNRESET);
}

TEST_P(BothSides, AreToldOfAResetThatCameWithTheLastBytes) {
  for (const bool first_waits : {true, false}) {
    Fixture f = fixture();
    f.stream.expires_after(10s);
    read_in_vain(f);
    f.run_to_the_end_of(read_a_reset_with_its_bytes(f, first_waits));
  }
}

INSTANTIATE_TEST_SUITE_P(Stream, BothSides, ::testing::Bool());

}  // namespace
}  // namespace soleroute::gateway::net
