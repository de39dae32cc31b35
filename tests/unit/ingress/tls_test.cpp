// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <fstream>
#include <string>

#include "tests/support/client_hello.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::ingress {
namespace {

constexpr const char* kOrigin = "127.0.0.2";
const std::string kHello = soleroute::testing::tls::ordinary("allowed.test");

// Connections from this machine to 127.0.0.2:443 that have sent a SYN and heard nothing.
int unanswered() {
  std::ifstream table("/proc/net/tcp");
  int count = 0;
  for (std::string line; std::getline(table, line);) count += line.find(" 0200007F:01BB 02 ") != std::string::npos;
  return count;
}

class TlsPassThrough : public http::h1::Http1Lab {
 protected:
  test::Peer& tls_client() {
    listen(kOrigin, 443);
    return start([this](flow::ClientConnection connection) {
      connection.original_destination = {base::IpAddress::parse(kOrigin).value(), 443};
      return serve_redirected(context_, std::move(connection));
    });
  }

  // The origin's queue of connections is full: the next one waits until its SYN is sent again, a second later.
  void fill_queue() {
    EXPECT_EQ(::listen(listen(kOrigin, 443).get(), 0), 0);
    sockaddr_storage address{};
    const auto length =
        static_cast<socklen_t>(base::Endpoint{base::IpAddress::parse(kOrigin).value(), 443}.to_sockaddr(address));
    in_the_way_ = base::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(in_the_way_.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  // A flow that is dialling, and its client.
  test::Peer& dialling() {
    fill_queue();
    auto& agent = tls_client();
    agent.send(kHello);
    for (int i = 0; i < test::kPatienceMs && unanswered() == 0; ++i) ::poll(nullptr, 0, 1);
    EXPECT_EQ(unanswered(), 1);
    return agent;
  }
  // The one that was in the way comes first.
  test::Peer dialled() {
    (void)origin(kOrigin, 443);
    return origin(kOrigin, 443);
  }

 private:
  base::Fd in_the_way_;
};

TEST_F(TlsPassThrough, CarriesBytesBothWaysAfterASlowDial) {
  auto& agent = dialling();
  auto server = dialled();
  EXPECT_EQ(server.exactly(kHello.size()), kHello);
  server.send("answer");
  EXPECT_EQ(agent.exactly(6), "answer");
  agent.send("more");
  EXPECT_EQ(server.exactly(4), "more");
}

TEST_F(TlsPassThrough, AReloadThatDeniesEndsTheConnection) {
  auto& agent = tls_client();
  agent.send(kHello);
  auto server = origin(kOrigin, 443);
  EXPECT_EQ(server.exactly(kHello.size()), kHello);
  reload("domains: [other.test]");
  EXPECT_EQ(agent.rest(), "<reset>");
  EXPECT_EQ(server.rest(), "<reset>");
}

TEST_F(TlsPassThrough, AReloadThatDeniesWhileTheOriginIsDialledEndsTheConnectionToo) {
  auto& agent = dialling();
  reload("domains: [other.test]");
  auto server = dialled();
  EXPECT_EQ(agent.rest(), "<reset>");
  EXPECT_TRUE(server.wait(POLLHUP, test::kPatienceMs));
}

TEST_F(TlsPassThrough, AReloadThatStillAllowsWhileTheOriginIsDialledChangesNothing) {
  auto& agent = dialling();
  reload("domains: [{host: allowed.test, addresses: [127.0.0.0/8]}]");
  auto server = dialled();
  EXPECT_EQ(server.exactly(kHello.size()), kHello);
  server.send("answer");
  EXPECT_EQ(agent.exactly(6), "answer");
}

}  // namespace
}  // namespace soleroute::gateway::ingress
