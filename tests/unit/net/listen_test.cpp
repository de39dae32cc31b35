// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/listen.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "gateway/net/peer_silence.h"
#include "tests/support/own_network.h"

namespace soleroute::gateway::net {
namespace {

const base::IpAddress kLoopback = base::IpAddress::v4(0x7f000001U);

std::string congestion_control(const base::Fd& socket) {
  std::array<char, 16> name{};
  socklen_t length = name.size();
  EXPECT_EQ(::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &length), 0);
  return name.data();
}

TEST(OpenListeners, GivesEachWorkerOneOfEachOnTheSamePorts) {
  ListenRequest request;
  request.address = kLoopback;
  request.workers = 3;
  const auto listeners = open_listeners(request);
  ASSERT_TRUE(listeners) << listeners.error().message;
  EXPECT_EQ(listeners->redirected.size(), 3U);
  EXPECT_EQ(listeners->dns_udp.size(), 3U);
  EXPECT_EQ(listeners->dns_tcp.size(), 3U);
  EXPECT_EQ(listeners->explicit_proxy.size(), 3U);
  for (const auto& fd : listeners->redirected) EXPECT_EQ(local_port(fd).value(), listeners->ports.redirected);
  for (const auto& fd : listeners->dns_udp) EXPECT_EQ(local_port(fd).value(), listeners->ports.dns);
  for (const auto& fd : listeners->dns_tcp) EXPECT_EQ(local_port(fd).value(), listeners->ports.dns);
}

// With so few ports to choose from, UDP gets the number of our own TCP listeners every third time.
int same_ports_in_twenty_starts() {
  if (!test::enter_own_network() || !test::write_whole("/proc/sys/net/ipv4/ip_local_port_range", "40000 40002")) {
    return 255;
  }
  int same = 0;
  for (int i = 0; i < 20; ++i) {
    ListenRequest request;
    request.address = kLoopback;
    request.workers = 2;
    request.explicit_proxy = false;
    const auto listeners = open_listeners(request);
    if (!listeners) return 254;
    same += listeners->ports.dns == listeners->ports.redirected ? 1 : 0;
  }
  return same;
}

TEST(OpenListeners, HaveNoPortTwiceAmongThemselves) {
  const pid_t child = ::fork();  // a namespace is the process's for good
  if (child == 0) ::_exit(same_ports_in_twenty_starts());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "255: no network namespace, 254: no listeners";
}

TEST(OpenListeners, NamesThePortThatIsTaken) {
  auto taken = listen_tcp({kLoopback, 0});
  ASSERT_TRUE(taken);
  ListenRequest request;
  request.address = kLoopback;
  request.ports.redirected = local_port(*taken).value();
  const auto listeners = open_listeners(request);
  ASSERT_FALSE(listeners);
  EXPECT_NE(listeners.error().message.find(std::to_string(request.ports.redirected)), std::string::npos);
  taken->reset();
  EXPECT_TRUE(open_listeners(request)) << "control: free again, it opens";
}

// To be told from the system's choice, this needs a machine where that is another (BBR, Cubic).
TEST(OpenListeners, PacesNothingTowardsItsClients) {
  const auto listener = listen_tcp({kLoopback, 0});
  ASSERT_TRUE(listener) << listener.error().message;
  const base::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string systems = congestion_control(client);
  sockaddr_storage address{};
  const base::Endpoint at{kLoopback, local_port(*listener).value()};
  const auto length = static_cast<socklen_t>(at.to_sockaddr(address));
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  const base::Fd accepted(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(congestion_control(accepted), "reno");
  EXPECT_EQ(congestion_control(client), systems) << "control: nobody else's choice is touched";
}

int option(const base::Fd& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket.get(), level, name, &value, &size);
  return value;
}

TEST(OpenListeners, KeepIdleClientsAliveWithinAMinute) {
  const auto listener = listen_tcp({kLoopback, 0});
  ASSERT_TRUE(listener) << listener.error().message;
  const base::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const base::Endpoint at{kLoopback, local_port(*listener).value()};
  const auto length = static_cast<socklen_t>(at.to_sockaddr(address));
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  const base::Fd accepted(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_LT(option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 60);
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_KEEPCNT), kClientProbes);
  EXPECT_EQ(option(client, SOL_SOCKET, SO_KEEPALIVE), 0) << "control: not everybody does";
}

TEST(OpenListeners, HasTheSamePortsAgainUnlessSomebodyElseHasThem) {
  ListenRequest request;
  request.address = kLoopback;
  request.explicit_proxy = false;
  request.workers = 2;
  {
    const auto free = open_listeners(request);
    ASSERT_TRUE(free) << free.error().message;
    request.preferred = free->ports;
  }
  for (int start = 0; start < 3; ++start) {
    const auto again = open_listeners(request);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->ports, request.preferred);
    const auto beside = open_listeners(request);
    ASSERT_TRUE(beside) << beside.error().message;
    EXPECT_NE(beside->ports.redirected, request.preferred.redirected) << "not shared with one that still has them";
    EXPECT_NE(beside->ports.dns, request.preferred.dns);
  }
  const auto datagrams = bind_udp({kLoopback, request.preferred.dns});
  ASSERT_TRUE(datagrams);
  const auto without = open_listeners(request);
  ASSERT_TRUE(without);
  EXPECT_NE(without->ports.dns, request.preferred.dns) << "the number is not free for both";
  EXPECT_EQ(without->ports.redirected, request.preferred.redirected);
}

TEST(OpenListeners, LeavesTheExplicitProxyOutWhenItIsOff) {
  ListenRequest request;
  request.address = kLoopback;
  request.explicit_proxy = false;
  const auto listeners = open_listeners(request);
  ASSERT_TRUE(listeners);
  EXPECT_TRUE(listeners->explicit_proxy.empty());
  EXPECT_EQ(listeners->ports.explicit_proxy, 0);
}

TEST(OpenListeners, SharesNoPortWithAnybodyWhenAlone) {
  ListenRequest request;
  request.address = kLoopback;
  const auto listeners = open_listeners(request);
  ASSERT_TRUE(listeners);
  int on = 1;
  socklen_t length = sizeof on;
  ASSERT_EQ(::getsockopt(listeners->redirected.front().get(), SOL_SOCKET, SO_REUSEPORT, &on, &length), 0);
  EXPECT_EQ(on, 0) << "another process of the same user could take connections";
}

}  // namespace
}  // namespace soleroute::gateway::net
