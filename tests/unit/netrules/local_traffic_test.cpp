// What programs in the jail, in a shared namespace and in a guarded one meet, with real sockets.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "netrules/kernel.h"
#include "tests/unit/netrules/sockets.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kRedirect = 15001, kDns = 15053, kProxy = 8080, kOwn = 7777;
constexpr milliseconds kAtOnce{500};

class LocalTraffic : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
    const auto features = make_kernel()->probe();
    ASSERT_TRUE(features);
    native_queue_ = features->native_queue;
  }
  void program(Intent intent, bool open = true) {
    const auto rules = open ? open_rules(intent) : closed_rules(intent);
    ASSERT_TRUE(rules) << rules.error().message;
    const auto status = make_kernel()->apply(*rules);
    ASSERT_TRUE(status) << status.error().message;
  }
  void listen() {
    redirected_ = tcp_server(kRedirect);
    dns_tcp_ = tcp_server(kDns);
    dns_udp_ = udp_server(kDns);
    proxy_ = tcp_server(kProxy);
  }
  void expect_redirected(const base::Endpoint& to, const base::Fd& server) {
    const Client client = connect_tcp(to);
    EXPECT_EQ(client.error, 0) << to.to_string() << ": " << std::strerror(client.error);
    const auto accepted = accept_one(server);
    ASSERT_TRUE(accepted) << to.to_string();
    EXPECT_EQ(accepted->original_destination, to);
  }
  void expect_refused(const base::Endpoint& to, std::uint32_t mark = 0) {
    const auto start = Clock::now();
    EXPECT_EQ(connect_tcp(to, kSoon, mark).error, ECONNREFUSED) << to.to_string();
    EXPECT_LT(Clock::now() - start, kAtOnce) << to.to_string();
  }
  // Output drops say so to the sender, and the ICMP error comes as well.
  void expect_udp_refused(const base::Endpoint& to) {
    const int error = send_udp(to, kSoon).error;
    EXPECT_TRUE(error == EPERM || error == EACCES || error == EHOSTUNREACH) << to.to_string() << std::strerror(error);
  }
  bool native_queue_ = false;
  base::Fd redirected_, dns_tcp_, dns_udp_, proxy_;
};

class JailTraffic : public LocalTraffic {
 protected:
  void SetUp() override {
    LocalTraffic::SetUp();
    if (IsSkipped()) return;
    ip("addr add 100.64.0.1/32 dev lo");
    ip("addr add fd64::1/128 dev lo");
    ip("route add default dev lo");
    ip("-6 route add default dev lo");
    listen();
  }
};

TEST_F(JailTraffic, BringsWebDnsAndEndpointsOfBothFamiliesToTheListeners) {
  Intent intent = intent_for(Topology::kJail);
  intent.endpoints = {{EndpointRule::Transport::kTcp, std::nullopt, {5432}, ""},
                      {EndpointRule::Transport::kTcp, *base::Cidr::parse("192.0.2.0/28"), {8000}, ""},
                      {EndpointRule::Transport::kTcp, *base::Cidr::parse("2001:db8::/32"), {8001}, ""}};
  program(intent);
  for (const auto& to : {at("1.1.1.1", 80), at("1.1.1.1", 443), at("2606:4700::1111", 80), at("2606:4700::1111", 443),
                         at("9.9.9.9", 5432), at("2606::9", 5432), at("192.0.2.3", 8000), at("2001:db8::3", 8001),
                         at("100.64.0.1", 80), at("fd64::1", 443)}) {
    expect_redirected(to, redirected_);
  }
  for (const auto& to : {at("8.8.8.8", 53), at("2001:4860::8888", 53), at("127.0.0.1", 53), at("127.0.0.11", 53),
                         at("::1", 53), at("100.64.0.1", 53)}) {
    expect_redirected(to, dns_tcp_);
    EXPECT_EQ(send_udp(to, milliseconds(0)).error, 0);
    EXPECT_TRUE(receive_one(dns_udp_)) << to.to_string();
  }
}

TEST_F(JailTraffic, AnswersADatagramFromTheAddressItWasSentTo) {
  program(intent_for(Topology::kJail));
  dns_udp_.reset();
  for (const auto& to : {at("8.8.8.8", 53), at("2001:4860::8888", 53)}) {
    // Bound, so that the answer leaves from the address the question came to (else: IP_PKTINFO).
    const base::Fd server = udp_server(kDns, to.address.is_v4() ? "127.0.0.1" : "::1");
    const Client client = send_udp(to, milliseconds(0));
    std::array<char, 64> buffer{};
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    ASSERT_GE(::recvfrom(server.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length),
              0);
    ASSERT_EQ(::sendto(server.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&from), length), 6);
    EXPECT_TRUE(receive_one(client.socket)) << "the connected socket takes answers from " << to.to_string() << " alone";
  }
}

TEST_F(JailTraffic, RefusesEverythingElseAtOnce) {
  program(intent_for(Topology::kJail));
  for (const std::uint16_t port :
       {21, 22, 25, 110, 123, 143, 465, 587, 853, 1080, 3128, 5432, 6379, 8000, 8443, 65535}) {
    expect_refused(at("1.1.1.1", port));
    expect_refused(at("2606:4700::1111", port));
  }
  for (const std::uint16_t port : {80, 123, 443, 853, 4500, 51820}) {
    expect_udp_refused(at("1.1.1.1", port));
    expect_udp_refused(at("2606:4700::1111", port));
  }
  expect_udp_refused(at("224.0.0.251", 5353));
}

TEST_F(JailTraffic, LeavesTheCommandsOwnServicesAlone) {
  program(intent_for(Topology::kJail));
  const base::Fd own = tcp_server(kOwn);
  const base::Fd web = tcp_server(80);
  const base::Fd datagrams = udp_server(kOwn);
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1", "100.64.0.1", "fd64::1"}) {
    EXPECT_EQ(connect_tcp(at(address, kOwn)).error, 0) << address;
    EXPECT_TRUE(accept_one(own)) << address;
    EXPECT_EQ(send_udp(at(address, kOwn), milliseconds(0)).error, 0);
    EXPECT_TRUE(receive_one(datagrams)) << address;
  }
  for (const char* address : {"127.0.0.1", "::1"}) {
    EXPECT_EQ(connect_tcp(at(address, 80)).error, 0) << address;
    EXPECT_TRUE(accept_one(web)) << "port 80 of a loopback address is the command's own: " << address;
  }
  EXPECT_EQ(connect_tcp(at("127.0.0.1", kProxy)).error, 0);
  EXPECT_TRUE(accept_one(proxy_));
}

TEST_F(JailTraffic, RefusesDirectConnectionsToTheListeners) {
  program(intent_for(Topology::kJail));
  for (const char* address : {"127.0.0.1", "::1", "100.64.0.1", "fd64::1"}) {
    expect_refused(at(address, kRedirect));
    expect_refused(at(address, kDns));
    EXPECT_NE(send_udp(at(address, kDns), milliseconds(0)).error, 0);
  }
  EXPECT_FALSE(receive_one(dns_udp_, kNever));
  expect_redirected(at("1.1.1.1", 443), redirected_);
}

// Sends a datagram from an address that need not be here; errno, 0 when it was taken.
int send_from(const char* source, const base::Endpoint& to) {
  const base::Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  EXPECT_EQ(::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on), 0);
  sockaddr_storage address{};
  socklen_t length = at(source, 0).to_sockaddr(address);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length), 0) << std::strerror(errno);
  length = to.to_sockaddr(address);
  return ::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&address), length) == 1 ? 0 : errno;
}

TEST_F(JailTraffic, TakesNoDatagramFromAnAddressThatIsNotHere) {
  const base::Fd own = udp_server(kOwn);
  EXPECT_EQ(send_from("2001:db8::bad", at("::1", kOwn)), 0);
  EXPECT_TRUE(receive_one(own)) << "the control: without rules it arrives";
  program(intent_for(Topology::kJail));
  for (const auto& to : {at("2001:4860::8888", 53), at("::1", 53), at("::1", kOwn), at("2606:4700::1111", 443)}) {
    EXPECT_EQ(send_from("2001:db8::bad", to), EPERM) << to.to_string();
  }
  EXPECT_FALSE(receive_one(dns_udp_, kNever));
  EXPECT_FALSE(receive_one(own, milliseconds(0)));
  EXPECT_EQ(send_from("fd64::1", at("2001:4860::8888", 53)), 0);
  EXPECT_TRUE(receive_one(dns_udp_)) << "the control: its own address";
  EXPECT_EQ(send_from("fd64::1", at("::1", kOwn)), 0);
  EXPECT_TRUE(receive_one(own));
}

TEST_F(JailTraffic, HasNoWayPastByMark) {
  program(intent_for(Topology::kJail));
  for (const std::uint32_t mark : {0x1U, 0x51U, 0x2000U, 0x534f4c45U}) {
    expect_refused(at("1.1.1.1", 22), mark);
    EXPECT_EQ(connect_tcp(at("1.1.1.1", 443), kSoon, mark).error, 0);
    EXPECT_TRUE(accept_one(redirected_)) << "the mark changes nothing";
  }
}

TEST_F(JailTraffic, PassesNothingButItsOwnServicesWhileClosed) {
  program(intent_for(Topology::kJail), false);
  const base::Fd own = tcp_server(kOwn);
  for (const auto& to : {at("1.1.1.1", 443), at("1.1.1.1", 22), at("127.0.0.1", kRedirect)}) {
    EXPECT_EQ(connect_tcp(to, kNever).error, ETIMEDOUT) << to.to_string();
  }
  EXPECT_FALSE(accept_one(redirected_, milliseconds(0)));
  EXPECT_EQ(connect_tcp(at("127.0.0.1", kOwn)).error, 0);
}

TEST_F(JailTraffic, ShowsTheFirstPacketOfARefusedFlowToTheQueueAndRefusesItAllTheSame) {
  Intent intent = intent_for(Topology::kJail);
  intent.packet_queue = 19;
  intent.native_queue = native_queue_;
  program(intent);
  QueueListener queue(19);
  for (const char* address : {"1.1.1.1", "2606:4700::1111"}) {
    const base::Fd client = start_tcp(at(address, 22));
    EXPECT_EQ(queue.serve(1), 1) << address;
    EXPECT_EQ(finish_tcp(client), ECONNREFUSED) << address;
  }
  EXPECT_EQ(connect_tcp(at("1.1.1.1", 443)).error, 0) << "what is redirected is not queued";
  EXPECT_EQ(queue.serve(1, kNever), 0);
}

TEST_F(JailTraffic, DropsWhatIsQueuedWhileNobodyListens) {
  Intent intent = intent_for(Topology::kJail);
  intent.packet_queue = 19;
  intent.native_queue = native_queue_;
  program(intent);
  EXPECT_EQ(connect_tcp(at("1.1.1.1", 22), kNever).error, ETIMEDOUT);
  expect_redirected(at("1.1.1.1", 443), redirected_);
}

// --- Sidecar: a cable leads outside, and only the gateway's mark goes there ---

constexpr std::uint32_t kMark = 0x51;

class SidecarTraffic : public LocalTraffic {
 protected:
  void SetUp() override {
    LocalTraffic::SetUp();
    if (IsSkipped()) return;
    outside_ = make_namespace();
    add_veth("eth0", "or0", outside_);
    ip("link set eth0 up");
    ip("addr add 10.77.0.10/24 dev eth0");
    ip("addr add fd77::10/64 dev eth0 nodad");
    ip("route add default via 10.77.0.2");
    ip("-6 route add default via fd77::2");
    inside(outside_, [&] {
      ip("link set or0 up");
      for (const char* address : {"10.77.0.2/24", "45.33.32.66/32"}) ip(fmt::format("addr add {} dev or0", address));
      for (const char* address : {"fd77::2/64", "2001:db8::66/128"})
        ip(fmt::format("addr add {} dev or0 nodad", address));
      origin_ = tcp_server(9999);
      origin_web_ = tcp_server(443);
      origin_udp_ = udp_server(9999);
    });
    listen();
  }
  base::Fd outside_, origin_, origin_web_, origin_udp_;
};

TEST_F(SidecarTraffic, LetsOnlyTheGatewaysOwnMarkOut) {
  program(intent_for(Topology::kSidecar));
  for (const char* address : {"45.33.32.66", "2001:db8::66"}) {
    expect_refused(at(address, 9999));
    expect_refused(at(address, 9999), kMark + 1);
    expect_udp_refused(at(address, 9999));
    expect_redirected(at(address, 443), redirected_);
    EXPECT_FALSE(accept_one(origin_, milliseconds(0)));
    EXPECT_FALSE(accept_one(origin_web_, milliseconds(0)));
    EXPECT_EQ(connect_tcp(at(address, 443), kSoon, kMark).error, 0) << address;
    EXPECT_TRUE(accept_one(origin_web_)) << address;
    EXPECT_EQ(send_udp(at(address, 9999), milliseconds(0), kMark).error, 0);
    EXPECT_TRUE(receive_one(origin_udp_)) << address;
  }
}

TEST_F(SidecarTraffic, AnswersOnlyWhatTheGatewayBegan) {
  program(intent_for(Topology::kSidecar));
  const base::Fd own = tcp_server(kOwn);
  inside(outside_, [&] {
    for (const std::uint16_t port : {kRedirect, kDns, kProxy, kOwn}) {
      EXPECT_EQ(connect_tcp(at("10.77.0.10", port), kNever).error, ETIMEDOUT) << port;
    }
  });
  EXPECT_EQ(connect_tcp(at("10.77.0.10", kOwn)).error, 0) << "from inside it is there";
}

TEST_F(SidecarTraffic, GrandfathersNoConnection) {
  const Client client = connect_tcp(at("45.33.32.66", 9999));
  ASSERT_EQ(client.error, 0);
  const auto accepted = accept_one(origin_);
  ASSERT_TRUE(accepted);
  EXPECT_EQ(write_and_wait(client.socket, milliseconds(0)), 0);
  EXPECT_TRUE(receive_one(accepted->socket));
  for (const bool open : {false, true}) {
    program(intent_for(Topology::kSidecar), open);
    const int error = write_and_wait(client.socket, open ? kSoon : kNever);
    if (open) {
      EXPECT_EQ(error, ECONNRESET);
    }
    EXPECT_FALSE(receive_one(accepted->socket, kNever));
  }
}

// Docker redirects 127.0.0.11:53 at the priority where redirects usually stand.
constexpr const char* kEngineDns =
    "table ip nat {\n\tchain OUTPUT {\n\t\ttype nat hook output priority -100; policy accept;\n"
    "\t\tip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40053\n"
    "\t\tip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:40053\n\t}\n}\n";

TEST_F(SidecarTraffic, TakesTheQuestionsToAnEnginesResolverAndLeavesNoWayToItsHiddenPort) {
  ASSERT_EQ(run({"nft", "-f", "-"}, kEngineDns).status, 0);
  const base::Fd engine = udp_server(40053, "127.0.0.11");
  const base::Fd engine_tcp = tcp_server(40053, "127.0.0.11");
  EXPECT_EQ(send_udp(at("127.0.0.11", 53), milliseconds(0)).error, 0);
  EXPECT_TRUE(receive_one(engine)) << "the control: without our rules the engine answers";
  program(intent_for(Topology::kSidecar));
  EXPECT_EQ(send_udp(at("127.0.0.11", 53), milliseconds(0)).error, 0);
  EXPECT_TRUE(receive_one(dns_udp_));
  expect_redirected(at("127.0.0.11", 53), dns_tcp_);
  EXPECT_NE(send_udp(at("127.0.0.11", 40053), milliseconds(0)).error, 0);
  expect_refused(at("127.0.0.11", 40053));
  EXPECT_FALSE(receive_one(engine, kNever));
  EXPECT_EQ(send_udp(at("127.0.0.11", 53), milliseconds(0), kMark).error, 0);
  EXPECT_TRUE(receive_one(engine)) << "the gateway itself may ask it";
}

TEST_F(SidecarTraffic, KeepsTheGatewaysPathWhileClosed) {
  program(intent_for(Topology::kSidecar), false);
  EXPECT_EQ(connect_tcp(at("45.33.32.66", 443), kNever).error, ETIMEDOUT);
  EXPECT_EQ(connect_tcp(at("45.33.32.66", 443), kSoon, kMark).error, 0);
}

// --- Guard: the gateway is the next hop, neighbours on the same subnet are not ---

class GuardTraffic : public SidecarTraffic {
 protected:
  void SetUp() override {
    SidecarTraffic::SetUp();
    if (IsSkipped()) return;
    inside(outside_, [&] {
      ip("addr add 10.77.0.50/24 dev or0");  // a neighbour of the agent
      dns_ = udp_server(53);
      proxy_outside_ = tcp_server(kProxy);
    });
  }
  base::Fd dns_, proxy_outside_;
};

TEST_F(GuardTraffic, LetsOutOnlyWhatTheGatewayDecides) {
  Intent intent = intent_for(Topology::kGuard);
  intent.endpoints = {{EndpointRule::Transport::kTcp, *base::Cidr::parse("45.33.32.66/32"), {9999}, ""}};
  program(intent);
  for (const auto& to : {at("45.33.32.66", 443), at("2001:db8::66", 443), at("10.77.0.2", 443)}) {
    EXPECT_EQ(connect_tcp(to).error, 0) << to.to_string();
    EXPECT_TRUE(accept_one(origin_web_));
  }
  EXPECT_EQ(connect_tcp(at("45.33.32.66", 9999)).error, 0) << "an endpoint";
  EXPECT_EQ(connect_tcp(at("10.77.0.2", kProxy)).error, 0);
  EXPECT_EQ(send_udp(at("8.8.8.8", 53), milliseconds(0)).error, 0);
  for (const auto& to : {at("10.77.0.50", 443), at("10.77.0.2", 9999), at("2001:db8::66", 9999), at("10.77.0.50", 53),
                         at("45.33.32.66", kProxy), at("45.33.32.66", 22)}) {
    expect_refused(to);
  }
  expect_udp_refused(at("45.33.32.66", 443));
  expect_udp_refused(at("10.77.0.50", 53));
}

TEST_F(GuardTraffic, TakesNoConnectionsFromOutsideAndHoldsClosed) {
  const base::Fd own = tcp_server(kOwn);
  for (const bool open : {true, false}) {
    program(intent_for(Topology::kGuard), open);
    inside(outside_, [&] { EXPECT_EQ(connect_tcp(at("10.77.0.10", kOwn), kNever).error, ETIMEDOUT); });
    EXPECT_EQ(connect_tcp(at("127.0.0.1", kOwn)).error, 0);
  }
  EXPECT_EQ(connect_tcp(at("45.33.32.66", 443), kNever).error, ETIMEDOUT) << "closed";
}

}  // namespace
}  // namespace soleroute::netrules::testing
