// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/peer_silence.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <string>
#include <vector>

#include "gateway/net/stream.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::net {
namespace {

using namespace std::chrono_literals;

struct Case {
  const char* what;
  std::uint32_t unacked;
  std::uint8_t retransmits;
  std::uint8_t probes;
  std::uint32_t since_ack_ms;
  bool silent;
};

TEST(PeerSilence, TellsWhoIsGoneFromWhoIsSlow) {
  const Case cases[] = {
      {"nothing on its way: idle, however long", 0, 0, 0, 3'600'000, false},
      {"just sent after a long rest", 1, 0, 0, 3'600'000, false},
      {"one segment lost after a long rest", 1, 1, 0, 3'600'000, false},
      {"resent for a while", 4, 3, 0, 20'000, false},
      {"resent and nothing heard", 4, 3, 0, 45'000, true},
      {"a closed window whose probes are answered", 0, 0, 0, 300'000, false},
      {"a closed window, one probe on its way", 0, 0, 1, 120'000, false},
      {"a closed window, probes in vain", 0, 0, 3, 45'000, true},
      {"a sign of life asked for once", 0, 0, 1, 45'000, false},
      {"and three times", 0, 0, 3, 65'000, true},
  };
  for (const Case& c : cases) {
    tcp_info info{};
    info.tcpi_unacked = c.unacked;
    info.tcpi_retransmits = c.retransmits;
    info.tcpi_probes = c.probes;
    info.tcpi_last_ack_recv = c.since_ack_ms;
    EXPECT_EQ(is_silent(info, kPeerSilence), c.silent) << c.what;
  }
}

// A NAT that forgets idle connections after a minute has seen a probe before.
TEST(PeerSilence, ProbesAnIdleOriginWithinAMinuteOfItsLastByte) {
  EXPECT_LT(kPeerSilenceCheck + kKeepaliveIdle, 60s);
  auto [peer, socket] = test::tcp_pair();
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  TcpStream stream(io, wheel, std::move(socket));
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    ::getsockopt(stream.native_handle(), level, name, &value, &size);
    return value;
  };
  const int off = 0;
  ::setsockopt(stream.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &off, sizeof off);  // which it has of its listener
  stream.end_when_silent(kPeerSilence, 100ms);
  while (option(SOL_SOCKET, SO_KEEPALIVE) == 0) io.run_one();
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), kKeepaliveIdle.count());
}

// T212. A namespace whose only interface can be taken down under a connection.
bool set_loopback(bool up) {
  const base::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::string("lo").copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

// What a read of a silent peer, and of one that only waits, ended with.
int errno_of_read(bool cut, bool sends, std::chrono::milliseconds own_limit) {
  auto [peer, socket] = test::tcp_pair();
  boost::asio::io_context io;
  DeadlineWheel wheel(io);
  TcpStream stream(io, wheel, std::move(socket));
  stream.end_when_silent(300ms, 100ms);
  stream.expires_after(own_limit);
  if (cut && !set_loopback(false)) return -1;
  int ended = 0;
  const auto reading = [&]() -> boost::asio::awaitable<void> {
    const std::string text = "hello";
    if (sends) (void)co_await stream.write_all(std::as_bytes(std::span(text)));
    std::array<std::byte, 8> buffer{};
    const auto count = co_await stream.read_some(buffer);
    ended = count ? 0 : count.error().sys_errno;
    io.stop();  // an open stream is looked at for ever
  };
  const auto start = Clock::now();
  boost::asio::co_spawn(io, reading, boost::asio::detached);
  io.run();
  const bool by_own_limit = Clock::now() - start >= own_limit;
  return by_own_limit ? 0 : ended;
}

// In a child, since a namespace is the process's for good.
int in_own_network(int (*step)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool alone = ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    ::_exit(alone && set_loopback(true) ? step() : 255);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
}

TEST(PeerSilence, EndsAStreamWhosePeerAnswersNothing) {
  const int ended = in_own_network([] { return errno_of_read(true, true, 10s); });
  if (ended == 255) GTEST_SKIP() << "needs a network namespace";
  EXPECT_EQ(ended, ETIMEDOUT);
}

// After a rest that is longer than the limit, a moment of loss is no silence yet.
TEST(PeerSilence, IsToldByTwoLooksInARow) {
  const int ended = in_own_network([] {
    auto [peer, socket] = test::tcp_pair();
    boost::asio::io_context io;
    DeadlineWheel wheel(io);
    TcpStream stream(io, wheel, std::move(socket));
    const std::string text = "hello";
    if (!set_loopback(false) || ::send(stream.native_handle(), text.data(), text.size(), 0) < 0) return 1;
    stream.end_when_silent(0ms, 2200ms);  // resent three times within one look
    boost::asio::co_spawn(io, stream.wait_readable(), boost::asio::detached);
    const auto start = Clock::now();
    io.run();
    return stream.timed_out() && Clock::now() - start > 3500ms ? 0 : 2;
  });
  if (ended == 255) GTEST_SKIP() << "needs a network namespace";
  EXPECT_EQ(ended, 0);
}

TEST(PeerSilence, LeavesOneWhosePeerHasNothingToSay) {
  const int ended = in_own_network([] { return errno_of_read(false, true, 1s); });
  if (ended == 255) GTEST_SKIP() << "needs a network namespace";
  EXPECT_EQ(ended, 0) << "its own deadline, and none before";
}

}  // namespace
}  // namespace soleroute::gateway::net
