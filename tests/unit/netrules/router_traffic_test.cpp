// What an agent behind the router meets, with real sockets in three namespaces: agent, gateway, outside.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "netrules/kernel.h"
#include "tests/unit/netrules/sockets.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kRedirect = 15001, kDns = 15053, kProxy = 8080;
constexpr milliseconds kAtOnce{500};

class RouterTraffic : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
    agent_ = make_namespace();
    outside_ = make_namespace();
    add_veth("in0", "ag0", agent_);
    add_veth("up0", "or0", outside_);
    lay("in0", {"10.77.0.2/24", "fd77::2/64"});
    lay("up0", {"45.33.32.1/24", "2001:db8:ffff::1/64"});
    inside(agent_, [] {
      lay("ag0", {"10.77.0.10/24", "fd77::10/64"});
      ip("route add default via 10.77.0.2");
      ip("-6 route add default via fd77::2");
    });
    inside(outside_, [&] {
      lay("or0", {"45.33.32.66/24", "2001:db8:ffff::66/64"});
      ip("route add 10.77.0.0/24 via 45.33.32.1");
      ip("-6 route add fd77::/64 via 2001:db8:ffff::1");
      origin_ = tcp_server(9999);
      origin_udp_ = udp_server(9999);
      origin_web_ = tcp_server(443);
    });
    forward(true);  // serving turns it off; the rules must hold where somebody turned it on again
    redirected_ = tcp_server(kRedirect);
    dns_tcp_ = tcp_server(kDns);
    dns_udp_ = udp_server(kDns);
    proxy_ = tcp_server(kProxy);
    const auto features = kernel_->probe();
    ASSERT_TRUE(features);
    native_queue_ = features->native_queue;
  }

  static void forward(bool on) {
    set_sysctl(on ? "ipv4/ip_forward=1" : "ipv4/ip_forward=0");
    set_sysctl(on ? "ipv6/conf/all/forwarding=1" : "ipv6/conf/all/forwarding=0");
  }

  static void lay(const char* interface, std::initializer_list<const char*> addresses) {
    ip(fmt::format("link set {} up", interface));
    for (const std::string address : addresses) {
      const char* nodad = address.find(':') == std::string::npos ? "" : "nodad";
      ip(fmt::format("addr add {} dev {} {}", address, interface, nodad));
    }
  }

  void program(const Intent& intent, bool open = true) {
    const auto rules = open ? open_rules(intent) : closed_rules(intent);
    ASSERT_TRUE(rules) << rules.error().message;
    const auto status = kernel_->apply(*rules);
    ASSERT_TRUE(status) << status.error().message;
  }
  Intent intent_with_queue() const {
    Intent intent = intent_for(Topology::kRouter);
    intent.packet_queue = 19;
    intent.native_queue = native_queue_;
    return intent;
  }

  void expect_redirected(const base::Endpoint& to, const base::Fd& server) {
    inside(agent_, [&] {
      const Client client = connect_tcp(to);
      EXPECT_EQ(client.error, 0) << to.to_string() << ": " << std::strerror(client.error);
    });
    const auto accepted = accept_one(server);
    ASSERT_TRUE(accepted) << to.to_string();
    EXPECT_EQ(accepted->original_destination, to);
  }
  void expect_refused(const base::Endpoint& to) {
    inside(agent_, [&] {
      const auto start = Clock::now();
      EXPECT_EQ(connect_tcp(to).error, ECONNREFUSED) << to.to_string();
      EXPECT_LT(Clock::now() - start, kAtOnce) << to.to_string();
    });
  }
  void expect_udp_refused(const base::Endpoint& to) {
    inside(agent_, [&] {
      const int error = send_udp(to).error;
      EXPECT_EQ(error, to.address.is_v4() ? EHOSTUNREACH : EACCES) << to.to_string() << std::strerror(error);
    });
  }
  void expect_nothing_outside() {
    EXPECT_FALSE(accept_one(origin_, milliseconds(0)));
    EXPECT_FALSE(accept_one(origin_web_, milliseconds(0)));
    EXPECT_FALSE(receive_one(origin_udp_, milliseconds(0)));
  }
  // The control of all that follows: without rules this router routes.
  void expect_routes_without_rules() {
    inside(agent_, [&] {
      EXPECT_EQ(connect_tcp(at("45.33.32.66", 9999)).error, 0);
      EXPECT_EQ(connect_tcp(at("2001:db8:ffff::66", 9999)).error, 0);
    });
    EXPECT_TRUE(accept_one(origin_));
    EXPECT_TRUE(accept_one(origin_));
  }

  std::unique_ptr<Kernel> kernel_ = make_kernel();
  bool native_queue_ = false;
  base::Fd agent_, outside_;
  base::Fd redirected_, dns_tcp_, dns_udp_, proxy_;
  base::Fd origin_, origin_udp_, origin_web_;
};

TEST_F(RouterTraffic, BringsWebDnsAndEndpointsOfBothFamiliesToTheListeners) {
  expect_routes_without_rules();
  Intent intent = intent_for(Topology::kRouter);
  intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, {5432}, ""},
                      {EndpointRule::Transport::kTcp, *base::Cidr::parse("45.33.32.66/32"), {9999}, ""}};
  program(intent);
  for (const auto& to :
       {at("45.33.32.66", 443), at("1.1.1.1", 80), at("2001:db8:ffff::66", 443), at("2606::1", 80), at("10.77.0.2", 80),
        at("45.33.32.1", 443), at("9.9.9.9", 5432), at("2606::9", 5432), at("45.33.32.66", 9999)}) {
    expect_redirected(to, redirected_);
  }
  for (const auto& to : {at("10.77.0.2", 53), at("8.8.8.8", 53), at("fd77::2", 53), at("2001:4860::8888", 53)}) {
    expect_redirected(to, dns_tcp_);
    inside(agent_, [&] { EXPECT_EQ(send_udp(to, milliseconds(0)).error, 0); });
    EXPECT_TRUE(receive_one(dns_udp_)) << to.to_string();
  }
  expect_nothing_outside();
}

TEST_F(RouterTraffic, RefusesEverythingElseAtOnce) {
  program(intent_for(Topology::kRouter));
  for (const std::uint16_t port : {21, 22, 25, 123, 853, 3128, 8080, 8443, 9999, 65535}) {
    expect_refused(at("45.33.32.66", port));
    expect_refused(at("2001:db8:ffff::66", port));
  }
  for (const std::uint16_t port : {80, 123, 443, 853, 9999}) {
    expect_udp_refused(at("45.33.32.66", port));
    expect_udp_refused(at("2001:db8:ffff::66", port));
  }
  expect_nothing_outside();
}

TEST_F(RouterTraffic, NeedsNoForwarding) {
  forward(false);
  program(intent_for(Topology::kRouter));
  for (const char* address : {"45.33.32.66", "2001:db8:ffff::66"}) {
    expect_redirected(at(address, 443), redirected_);
    expect_redirected(at(address, 53), dns_tcp_);
    expect_refused(at(address, 9999));
    expect_udp_refused(at(address, 443));
  }
  expect_nothing_outside();
}

TEST_F(RouterTraffic, PassesNothingWhenSomebodyFlushesTheRules) {
  forward(false);
  program(intent_for(Topology::kRouter));
  ASSERT_EQ(run({"nft", "flush", "ruleset"}).status, 0);
  inside(agent_, [&] {
    EXPECT_NE(connect_tcp(at("45.33.32.66", 9999), kNever).error, 0);
    EXPECT_NE(connect_tcp(at("2001:db8:ffff::66", 9999), kNever).error, 0);
  });
  expect_nothing_outside();
  forward(true);
  expect_routes_without_rules();
}

TEST_F(RouterTraffic, TakesNoSourcePortForATicket) {
  program(intent_for(Topology::kRouter));
  inside(agent_, [&] {
    for (const std::uint16_t source : {53, 67, 123, 443, 500}) {
      const base::Fd socket = udp_server(source, "10.77.0.10");
      sockaddr_storage name{};
      const unsigned length = at("45.33.32.66", 9999).to_sockaddr(name);
      EXPECT_EQ(::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&name), length), 1);
    }
  });
  EXPECT_FALSE(receive_one(origin_udp_, kNever));
}

TEST_F(RouterTraffic, OpensOnlyTheExplicitProxyAndOnlyAtItsInsideAddress) {
  program(intent_for(Topology::kRouter));
  inside(agent_, [&] {
    EXPECT_EQ(connect_tcp(at("10.77.0.2", kProxy)).error, 0);
    EXPECT_EQ(connect_tcp(at("fd77::2", kProxy)).error, 0);
  });
  const base::Fd other = tcp_server(2222);
  for (const char* address : {"10.77.0.2", "45.33.32.1", "fd77::2", "2001:db8:ffff::1"}) {
    for (const std::uint16_t port : {kRedirect, kDns, std::uint16_t{2222}}) expect_refused(at(address, port));
    expect_udp_refused(at(address, kDns));
  }
  expect_refused(at("45.33.32.1", kProxy));
  EXPECT_FALSE(receive_one(dns_udp_, milliseconds(0)));
}

TEST_F(RouterTraffic, LetsTheGatewayOutAndNobodyIn) {
  program(intent_for(Topology::kRouter));
  EXPECT_EQ(connect_tcp(at("45.33.32.66", 9999)).error, 0);
  EXPECT_EQ(connect_tcp(at("2001:db8:ffff::66", 9999)).error, 0);
  base::Fd own;
  inside(agent_, [&] { own = tcp_server(7777); });
  inside(outside_, [&] {
    for (const auto& to : {at("10.77.0.10", 7777), at("45.33.32.1", kRedirect), at("45.33.32.1", kProxy),
                           at("2001:db8:ffff::1", kDns)}) {
      EXPECT_EQ(connect_tcp(to, kNever).error, ETIMEDOUT) << to.to_string();
    }
  });
  EXPECT_FALSE(accept_one(own, milliseconds(0)));
}

TEST_F(RouterTraffic, GrandfathersNoConnection) {
  base::Fd client;
  inside(agent_, [&] {
    Client connected = connect_tcp(at("45.33.32.66", 9999));
    ASSERT_EQ(connected.error, 0);
    client = std::move(connected.socket);
  });
  const auto accepted = accept_one(origin_);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(write_and_wait(client, milliseconds(0)), 0);
  EXPECT_TRUE(receive_one(accepted->socket)) << "the control";
  program(intent_for(Topology::kRouter), false);
  EXPECT_EQ(write_and_wait(client, milliseconds(0)), 0);
  EXPECT_FALSE(receive_one(accepted->socket, kNever)) << "closed";
  program(intent_for(Topology::kRouter));
  EXPECT_EQ(write_and_wait(client), ECONNRESET);
  EXPECT_FALSE(receive_one(accepted->socket, kNever)) << "open";
}

long connection_entries() {
  long entries = -1;
  std::ifstream("/proc/sys/net/netfilter/nf_conntrack_count") >> entries;
  return entries;
}

TEST_F(RouterTraffic, KeepsNoConnectionEntryOfWhatItRefuses) {
  program(intent_for(Topology::kRouter));
  expect_redirected(at("1.1.1.1", 443), redirected_);
  const long before = connection_entries();
  EXPECT_GT(before, 0) << "the control: what is redirected has one";
  inside(agent_, [&] {
    for (std::uint16_t port = 20000; port < 20500; ++port) {
      EXPECT_NE(send_udp(at("45.33.32.66", port), milliseconds(0)).error, EINVAL);
    }
  });
  expect_refused(at("45.33.32.66", 22));
  EXPECT_LE(connection_entries(), before);
}

TEST_F(RouterTraffic, ShowsRefusedPacketsToTheQueueAndRefusesThemAllTheSame) {
  program(intent_with_queue());
  QueueListener queue(19);
  for (const auto& to : {at("45.33.32.66", 9999), at("2001:db8:ffff::66", 9999), at("10.77.0.2", 22)}) {
    base::Fd client;
    inside(agent_, [&] { client = start_tcp(to); });
    EXPECT_EQ(queue.serve(1), 1) << to.to_string();
    EXPECT_EQ(finish_tcp(client), ECONNREFUSED) << to.to_string();
  }
  inside(agent_, [&] { EXPECT_EQ(send_udp(at("45.33.32.66", 9999), milliseconds(0)).error, 0); });
  EXPECT_EQ(queue.serve(1), 1);
  expect_redirected(at("1.1.1.1", 443), redirected_);
  EXPECT_EQ(queue.serve(1, kNever), 0) << "what is redirected is not queued";
  expect_nothing_outside();
}

TEST_F(RouterTraffic, PassesNothingWhileNobodyListensToTheQueue) {
  program(intent_with_queue());
  inside(agent_, [&] {
    EXPECT_EQ(connect_tcp(at("45.33.32.66", 9999), kNever).error, ETIMEDOUT) << "queued, and dropped";
    EXPECT_EQ(send_udp(at("45.33.32.66", 9999), kNever).error, 0);
  });
  expect_nothing_outside();
  expect_redirected(at("1.1.1.1", 443), redirected_);
}

TEST_F(RouterTraffic, RefusesUnloggedWhatIsAboveTheQueuesRate) {
  set_sysctl("ipv4/icmp_ratelimit=0");  // else the kernel sends one agent six refusals, then one a second
  program(intent_with_queue());
  std::vector<Client> clients;
  inside(agent_, [&] {
    for (std::uint32_t i = 0; i < 2 * kQueuedBurst + 50; ++i) {
      clients.push_back(send_udp(at("45.33.32.66", 9999), milliseconds(0)));
    }
  });
  // Nobody listens: what was queued is dropped, and only what skipped the queue is answered.
  const auto refused = std::ranges::count_if(clients, [](const Client& client) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(client.socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error == EHOSTUNREACH;
  });
  EXPECT_GE(refused, 30);
  EXPECT_LE(refused, static_cast<long>(clients.size() - kQueuedBurst));
  expect_nothing_outside();
}

TEST_F(RouterTraffic, LeaksNoPacketWhileItsRulesAreReplaced) {
  const auto open = open_rules(intent_for(Topology::kRouter));
  const auto closed = closed_rules(intent_for(Topology::kRouter));
  ASSERT_TRUE(open && closed);
  base::Fd socket;
  inside(agent_, [&] { socket.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
  std::atomic<bool> stop = false;
  std::atomic<long> sent = 0;
  ASSERT_TRUE(kernel_->apply(*open));
  std::thread sender([&] {
    sockaddr_storage name{};
    const unsigned length = at("45.33.32.66", 9999).to_sockaddr(name);
    while (!stop) {
      // Refusals of earlier datagrams come back as errors of later ones; the socket is not connected, so they do not.
      if (::sendto(socket.get(), "leak", 4, 0, reinterpret_cast<sockaddr*>(&name), length) == 4) ++sent;
    }
  });
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(kernel_->apply(i % 2 == 0 ? *closed : *open));
    EXPECT_FALSE(receive_one(origin_udp_, milliseconds(0))) << "replacement " << i;
  }
  EXPECT_GT(sent, 1000);
  EXPECT_FALSE(receive_one(origin_udp_, kNever));
  ASSERT_TRUE(kernel_->remove("soleroute"));
  EXPECT_TRUE(receive_one(origin_udp_)) << "the control: without rules it flows";
  stop = true;
  sender.join();
}

}  // namespace
}  // namespace soleroute::netrules::testing
