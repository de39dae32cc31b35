// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/relay.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gateway/flow/pipe_pool.h"
#include "tests/support/on_loop.h"
#include "tests/support/peer.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::flow {
namespace {

// A relay running on its own thread between two sockets that the test holds the far ends of.
class RelayTest : public ::testing::Test {
 protected:
  RelayTest() {
    auto [client_far, client_near] = test::tcp_pair();
    auto [origin_far, origin_near] = test::tcp_pair();
    client = std::move(client_far);
    origin = std::move(origin_far);
    near_client_ = std::make_unique<net::TcpStream>(io_, wheel_, std::move(client_near));
    near_origin_ = std::make_unique<net::TcpStream>(io_, wheel_, std::move(origin_near));
    near_client_->account_to(account->of(base::IpAddress::parse("10.0.0.1").value()));
    near_origin_->account_to(near_client_->buffers());
    boost::asio::co_spawn(io_, run(), [this](const std::exception_ptr& error) {
      EXPECT_FALSE(error);
      near_client_.reset();
      near_origin_.reset();
    });
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RelayTest() override {
    client.reset();
    origin.reset();
    join();
  }

  boost::asio::awaitable<void> run() { totals = co_await relay(*near_client_, *near_origin_, pipes_); }

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  static void send_all(const base::Fd& fd, const std::string& bytes) {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = ::send(fd.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
      if (count < 0 && errno != EAGAIN) return;
    }
  }

  // What arrives until the end, or until a reset, which is written down as "<reset>".
  static std::string receive_all(const base::Fd& fd) {
    std::string received;
    std::vector<char> buffer(1 << 16);
    for (;;) {
      pollfd wait{.fd = fd.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 10000) != 1) return received + "<silence>";
      const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (count == 0) return received;
      if (count < 0) return received + "<reset>";
      received.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

  // What `action` leaves behind, the relay sees at once.
  template <class Action>
  void hold(Action action) {
    test::on_loop(io_, std::move(action));
  }

  static std::string random_bytes(std::size_t size) {
    std::mt19937_64 generator(size);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(generator());
    return bytes;
  }

  base::Fd client;
  base::Fd origin;
  RelayTotals totals;
  std::shared_ptr<net::BufferAccount> account = std::make_shared<net::BufferAccount>(net::BufferLimits{});

 private:
  boost::asio::io_context io_;
  net::DeadlineWheel wheel_{io_};
  PipePool pipes_;
  std::unique_ptr<net::Stream> near_client_;
  std::unique_ptr<net::Stream> near_origin_;
  std::thread thread_;
};

TEST_F(RelayTest, CarriesSmallMessagesBothWays) {
  send_all(client, "ping");
  char buffer[4];
  ASSERT_EQ(::recv(origin.get(), buffer, 4, MSG_WAITALL), 4);
  send_all(origin, "pong");
  ASSERT_EQ(::recv(client.get(), buffer, 4, MSG_WAITALL), 4);
  EXPECT_EQ(std::string(buffer, 4), "pong");
}

TEST_F(RelayTest, KeepsTheHalfThatIsStillOpenAfterTheClientHasFinishedSending) {
  send_all(client, "request");
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(receive_all(origin), "request");
  send_all(origin, "answer after the end of the request");
  origin.reset();
  EXPECT_EQ(receive_all(client), "answer after the end of the request");
  client.reset();
  join();
  EXPECT_EQ(totals.from_client, 7U);
  EXPECT_EQ(totals.to_client, 35U);
}

// T222: the other half may stay open for long.
TEST_F(RelayTest, HoldsNothingForAHalfThatIsOver) {
  const std::string bytes = random_bytes(16 << 20);
  std::thread sender([&] {
    send_all(origin, bytes);
    ::shutdown(origin.get(), SHUT_WR);
  });
  for (int i = 0; i < 5000 && account->held() == 0; ++i) ::poll(nullptr, 0, 1);
  EXPECT_GT(account->held(), 0U) << "the client does not read";
  EXPECT_EQ(receive_all(client).size(), bytes.size());
  sender.join();
  for (int i = 0; i < 2000 && account->held() > 0; ++i) ::poll(nullptr, 0, 1);
  EXPECT_EQ(account->held(), 0U);
  send_all(client, "and the other half goes on");
  client.reset();
  EXPECT_EQ(receive_all(origin), "and the other half goes on");
}

TEST_F(RelayTest, CarriesBulkByteForByteThroughCopyAndSplice) {
  const std::string bytes = random_bytes(32 << 20);
  std::thread sender([&] {
    send_all(origin, bytes);
    ::shutdown(origin.get(), SHUT_WR);
  });
  const std::string received = receive_all(client);
  sender.join();
  EXPECT_TRUE(received == bytes) << "received " << received.size() << " of " << bytes.size();
}

TEST_F(RelayTest, CarriesBulkBothWaysAtOnce) {
  const std::string up = random_bytes(8 << 20);
  const std::string down = random_bytes((8 << 20) + 1);
  std::thread uploader([&] {
    send_all(client, up);
    ::shutdown(client.get(), SHUT_WR);
  });
  std::thread downloader([&] {
    send_all(origin, down);
    ::shutdown(origin.get(), SHUT_WR);
  });
  std::string at_origin;
  std::thread reader([&] { at_origin = receive_all(origin); });
  const std::string at_client = receive_all(client);
  uploader.join();
  downloader.join();
  reader.join();
  EXPECT_TRUE(at_origin == up);
  EXPECT_TRUE(at_client == down);
}

TEST_F(RelayTest, PassesAResetOn) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(origin.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  origin.reset();
  EXPECT_EQ(receive_all(client), "<reset>");
}

TEST_F(RelayTest, DeliversWhatCameBeforeAReset) {
  send_all(origin, "the whole answer");
  char buffer[16];
  ASSERT_EQ(::recv(client.get(), buffer, 16, MSG_WAITALL), 16);
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(origin.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  origin.reset();
  EXPECT_EQ(receive_all(client), "<reset>");
  EXPECT_EQ(std::string(buffer, 16), "the whole answer");
}

// At once, as far as the relay can see; after so many messages it reads no more than was there.
TEST_F(RelayTest, PassesAResetOnThatCameWithTheLastBytes) {
  char buffer[4];
  for (int i = 0; i < 5; ++i) {
    send_all(client, "ping");
    ASSERT_EQ(::recv(origin.get(), buffer, 4, MSG_WAITALL), 4);
    send_all(origin, "pong");
    ASSERT_EQ(::recv(client.get(), buffer, 4, MSG_WAITALL), 4);
  }
  hold([this] {
    send_all(origin, "last");
    test::Peer(std::move(origin)).abort();
  });
  // As a reset, or as an end where that would have lost the bytes.
  EXPECT_THAT(receive_all(client), ::testing::AnyOf("last", "last<reset>"));
}

// The relay is held by what it waits for, and holds the flow that awaits it: the loop's end must take them all, once.
TEST(Relay, EndsWithItsFlowWhenTheLoopIsDestroyedUnderIt) {
  auto [client_far, client_near] = test::tcp_pair();
  auto [origin_far, origin_near] = test::tcp_pair();
  PipePool pipes;
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = alive;
  {
    boost::asio::io_context io;
    net::DeadlineWheel wheel(io);
    const auto flow = [&](base::Fd client, base::Fd origin,
                          std::shared_ptr<int> token) -> boost::asio::awaitable<void> {
      net::TcpStream inner(io, wheel, std::move(client));
      net::TcpStream outer(io, wheel, std::move(origin));
      co_await relay(inner, outer, pipes);
      ++*token;
    };
    auto task = flow(std::move(client_near), std::move(origin_near), std::move(alive));
    boost::asio::co_spawn(io, std::move(task), [](const std::exception_ptr&) { ADD_FAILURE() << "it was not over"; });
    io.poll();
    const std::string bytes(300'000, 'x');  // and a direction waits for room, with a pipe or a buffer half emptied
    EXPECT_GT(::send(client_far.get(), bytes.data(), bytes.size(), MSG_DONTWAIT), 0);
    io.poll();
    EXPECT_FALSE(watch.expired());
  }
  EXPECT_TRUE(watch.expired());
}

// Both ends are there before the flow has begun to wait for the relay.
TEST(Relay, IsOverAtOnceWhenBothSidesAre) {
  auto [client_far, client_near] = test::tcp_pair();
  auto [origin_far, origin_near] = test::tcp_pair();
  EXPECT_EQ(::send(client_far.get(), "hello", 5, 0), 5);
  client_far.reset();
  origin_far.reset();
  PipePool pipes;
  boost::asio::io_context io;
  net::DeadlineWheel wheel(io);
  net::TcpStream inner(io, wheel, std::move(client_near));
  net::TcpStream outer(io, wheel, std::move(origin_near));
  std::optional<RelayTotals> totals;
  const auto flow = [&]() -> boost::asio::awaitable<void> { totals = co_await relay(inner, outer, pipes); };
  boost::asio::co_spawn(io, flow(), [&io](const std::exception_ptr& error) {
    EXPECT_FALSE(error);
    io.stop();  // the wheel would go on turning
  });
  io.run_for(std::chrono::seconds(5));
  ASSERT_TRUE(totals.has_value());
  EXPECT_EQ(totals->from_client, 5U);
  EXPECT_EQ(totals->to_client, 0U);
}

TEST(PipePool, KeepsEmptyPipesAndNoOthers) {
  PipePool pool;
  auto pipe = pool.borrow();
  ASSERT_TRUE(pipe);
  EXPECT_GE(pipe->capacity, 4096U);
  const int number = pipe->read_end.get();
  pool.give_back(std::move(*pipe));
  pipe = pool.borrow();
  EXPECT_EQ(pipe->read_end.get(), number) << "the same pipe again";
  pipe->held = 1;
  const int duplicate = ::fcntl(pipe->write_end.get(), F_DUPFD_CLOEXEC, 0);
  pool.give_back(std::move(*pipe));
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(::write(duplicate, "x", 1), -1) << "a pipe with bytes in it is closed, or they would reach another flow";
  ::close(duplicate);
}

TEST(PipePool, LendsNoMoreThanItMay) {
  PipePool pool(1);
  auto pipe = pool.borrow();
  ASSERT_TRUE(pipe);
  EXPECT_FALSE(pool.borrow());
  pipe->held = 1;
  pool.give_back(std::move(*pipe));
  EXPECT_TRUE(pool.borrow()) << "one that was closed makes room as well";
}

}  // namespace
}  // namespace soleroute::gateway::flow
