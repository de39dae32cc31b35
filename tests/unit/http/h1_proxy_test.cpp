// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/support/client_hello.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::http::h1 {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using ExplicitProxy = Http1Lab;

const std::string kEstablished = wire("HTTP/1.1 200 Connection established||");

std::string connect_to(const std::string& authority) {
  return wire("CONNECT " + authority + " HTTP/1.1|Host: " + authority + "||");
}

TEST_F(ExplicitProxy, FetchesAnAbsoluteUrl) {
  auto& agent = proxy_client();
  for (int i = 0; i < 3; ++i)
    agent.send(wire("GET http://allowed.test/a?b HTTP/1.1|Host: allowed.test|Proxy-Connection: keep-alive||"));
  auto server = origin("127.0.0.2");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(server.head(), wire("GET /a?b HTTP/1.1|Host: allowed.test||"));
    server.send(wire("HTTP/1.1 200 OK|Content-Length: 2||hi"));
    EXPECT_THAT(agent.message(), EndsWith("hi"));
  }
  EXPECT_EQ(records(1).at(0).reason, "host_allowed");
}

TEST_F(ExplicitProxy, DecidesAbsoluteUrlsLikeRedirectedRequests) {
  auto& agent = proxy_client();
  agent.send(wire("GET http://denied.test/ HTTP/1.1|Host: denied.test||"));
  EXPECT_THAT(agent.message(), HasSubstr("Blocked by proxy policy: denied.test"));
  agent.send(wire("GET http://rules.test/other HTTP/1.1|Host: rules.test||"));
  EXPECT_THAT(agent.message(), HasSubstr("no_rule_matched"));
  agent.send(wire("GET http://allowed.test:8080/ HTTP/1.1|Host: allowed.test:8080||"));
  EXPECT_THAT(agent.message(), HasSubstr("endpoint_not_allowed")) << "another port is another endpoint";
  agent.send(wire("GET http://127.0.0.2/ HTTP/1.1|Host: 127.0.0.2||"));
  EXPECT_THAT(agent.message(), HasSubstr("invalid_name"));
  agent.send(wire("GET / HTTP/1.1|Host: allowed.test||"));
  EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 400")) << "origin-form is for origins";
  EXPECT_FALSE(was_dialled("127.0.0.2"));
}

// A denied name has the gateway's own address, and whoever asks for its port 8080 meets the proxy.
TEST_F(ExplicitProxy, WhatWasMeantForADeniedServerGetsThePage) {
  auto& agent = proxy_client();
  agent.send(wire("GET /CANARY HTTP/1.1|Host: denied.test:8080||"));
  const std::string page = agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 Blocked by policy: "));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: host_not_allowed\r\n"));
  EXPECT_THAT(page, HasSubstr("\r\n\r\nBlocked by proxy policy: denied.test"));
  EXPECT_THAT(page, HasSubstr("endpoints:\n  - {host: denied.test, port: 8080}")) << "the lines to add";
  EXPECT_THAT(page, Not(HasSubstr("CANARY")));
  agent.send(wire("GET / HTTP/1.1|Host: allowed.test:8080||"));
  EXPECT_THAT(agent.message(), HasSubstr("X-Soleroute-Reason: endpoint_not_allowed")) << "the connection goes on";
  agent.send(wire("GET / HTTP/1.1|Host: denied.test||"));
  EXPECT_THAT(agent.message(), HasSubstr("  - denied.test\n")) << "without a port it is port 80";
  agent.send(wire("GET /other HTTP/1.1|Host: rules.test||"));
  EXPECT_THAT(agent.message(), HasSubstr("X-Soleroute-Reason: no_rule_matched"));
  agent.send(wire("OPTIONS * HTTP/1.1|Host: denied.test:8080||"));
  EXPECT_THAT(agent.message(), StartsWith("HTTP/1.1 403"));
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.phase, policy::Phase::kHttp);
  EXPECT_EQ(record.reason, "host_not_allowed");
  EXPECT_EQ(record.host, "denied.test");
  EXPECT_EQ(record.port, 8080);
  EXPECT_EQ(record.path, "/CANARY");
  EXPECT_EQ(record.status, 403);
}

TEST_F(ExplicitProxy, WhatWasMeantForAnAllowedServerIsToldOfProxiesAndGoesNowhere) {
  listen("127.0.0.7", 5432);
  const std::vector<std::string> sent = {"GET / HTTP/1.1|Host: allowed.test||",
                                         "GET / HTTP/1.1|Host: allowed.test:80||",
                                         "GET /ok/a HTTP/1.1|Host: rules.test||",
                                         "GET / HTTP/1.1|Host: db.test:5432||",
                                         "GET / HTTP/1.1|Host: gateway.internal||",
                                         "GET / HTTP/1.1|Host: gateway.internal:8080||",
                                         "GET / HTTP/1.1|Host: 127.0.0.2||",
                                         "GET / HTTP/1.1|Host: 2130706434:8080||",
                                         "GET / HTTP/1.1||",
                                         "GET / HTTP/1.0||",
                                         "GET / HTTP/1.1|Host: a<b>.test||",
                                         "GET / HTTP/1.1|Host: denied.test|Host: denied.test||"};
  const auto refused = [&] {
    for (const auto& request : sent) {
      auto& agent = proxy_client();
      agent.send(wire(request) + wire("GET http://allowed.test/ HTTP/1.1|Host: allowed.test||"));
      const std::string answer = agent.rest();
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << request;
      EXPECT_THAT(answer, Not(HasSubstr("<b>"))) << "nothing is reflected";
      EXPECT_EQ(answer.find("HTTP/1.1 ", 5), std::string::npos) << "one answer only to " << request;
    }
  };
  refused();
  EXPECT_EQ(records(1).at(0).reason, "malformed");
  use(std::string(kPolicy) + "mode: observe\n");
  refused();
  auto& observed = proxy_client();
  observed.send(wire("GET / HTTP/1.1|Host: denied.test:8080||"));
  EXPECT_THAT(observed.rest(), StartsWith("HTTP/1.1 400 ")) << "which would pass if it were asked for as of a proxy";
  for (const char* const address : {"127.0.0.2", "127.0.0.4"}) EXPECT_FALSE(was_dialled(address)) << address;
  EXPECT_FALSE(was_dialled("127.0.0.7", 5432));
  auto& control = proxy_client();
  control.send(wire("GET http://allowed.test/ HTTP/1.1|Host: allowed.test||"));
  EXPECT_THAT(origin("127.0.0.2").head(), StartsWith("GET / "));
}

TEST_F(ExplicitProxy, AnAllowedConnectCarriesTlsForThatName) {
  auto& agent = proxy_client();
  agent.send(connect_to("allowed.test:443"));
  EXPECT_EQ(agent.head(), kEstablished);
  const std::string hello = testing::tls::ordinary("allowed.test");
  listen("127.0.0.2", 443);
  agent.send(hello);
  auto server = origin("127.0.0.2", 443);
  EXPECT_EQ(server.exactly(hello.size()), hello);
  server.send("server bytes");
  EXPECT_EQ(agent.exactly(12), "server bytes");
  agent.send("client bytes");
  EXPECT_EQ(server.exactly(12), "client bytes");
}

TEST_F(ExplicitProxy, TheHelloMayComeWithConnect) {
  listen("127.0.0.2", 443);
  auto& agent = proxy_client();
  const std::string hello = testing::tls::ordinary("allowed.test");
  agent.send(connect_to("allowed.test:443") + hello);
  EXPECT_EQ(agent.head(), kEstablished);
  EXPECT_EQ(origin("127.0.0.2", 443).exactly(hello.size()), hello);
}

// T096, and what agent-sandbox's proxy gets wrong
TEST_F(ExplicitProxy, ATunnelTo443CarriesNothingElse) {
  listen("127.0.0.2", 443);
  listen("127.0.0.3", 443);
  const std::vector<std::pair<std::string, std::string>> inside = {
      {"another allowed name", testing::tls::ordinary("other.test")},
      {"a denied name", testing::tls::ordinary("denied.test")},
      {"no name", testing::tls::record(testing::tls::hello(testing::tls::usual_extensions()))},
      {"plain HTTP", wire("GET / HTTP/1.1|Host: allowed.test||")},
      {"SSH", "SSH-2.0-OpenSSH_9\r\n"}};
  for (const auto& [why, bytes] : inside) {
    auto& agent = proxy_client();
    agent.send(connect_to("allowed.test:443"));
    EXPECT_EQ(agent.head(), kEstablished) << why;
    agent.send(bytes);
    const std::string answer = agent.rest();
    EXPECT_THAT(answer, StartsWith("\x15\x03")) << why << ": a TLS alert and nothing more";
  }
  EXPECT_FALSE(was_dialled("127.0.0.2", 443));
  EXPECT_FALSE(was_dialled("127.0.0.3", 443));
}

TEST_F(ExplicitProxy, ADeniedConnectGetsThePage) {
  struct Case {
    std::string authority;
    std::string reason;
  };
  for (const auto& c : {Case{"denied.test:443", "host_not_allowed"}, Case{"allowed.test:22", "endpoint_not_allowed"},
                        Case{"allowed.test:80", "endpoint_not_allowed"}, Case{"127.0.0.2:443", "endpoint_not_allowed"},
                        Case{"169.254.169.254:80", "endpoint_not_allowed"}, Case{"[::1]:443", "endpoint_not_allowed"},
                        Case{"2130706434:443", "invalid_name"}, Case{"db.test:443", "host_not_allowed"}}) {
    auto& agent = proxy_client();
    agent.send(connect_to(c.authority));
    const std::string page = agent.rest();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 403 Blocked by policy: ")) << c.authority;
    EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: " + c.reason)) << c.authority;
    EXPECT_THAT(page, HasSubstr("Blocked by proxy policy: ")) << c.authority;
  }
  const auto record = records(1).at(0);
  EXPECT_EQ(record.phase, policy::Phase::kConnect);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.host, "denied.test");
  EXPECT_EQ(record.method, "CONNECT");
  EXPECT_EQ(record.status, 403);
  auto& json = proxy_client();
  json.send(wire("CONNECT denied.test:443 HTTP/1.1|Host: denied.test:443|Accept: application/json||"));
  EXPECT_THAT(json.rest(), HasSubstr("\"host\": \"denied.test\""));
}

TEST_F(ExplicitProxy, TunnelsToEndpointsByNameAndByAddress) {
  listen("127.0.0.7", 5432);
  listen("127.0.0.9", 7000);
  for (const auto& [authority, address, port] :
       {std::tuple{"db.test:5432", "127.0.0.7", 5432}, std::tuple{"127.0.0.9:7000", "127.0.0.9", 7000}}) {
    auto& agent = proxy_client();
    agent.send(connect_to(authority) + "early");
    auto server = origin(address, static_cast<std::uint16_t>(port));
    EXPECT_EQ(server.exactly(5), "early");
    EXPECT_EQ(agent.head(), kEstablished);
    server.send("any protocol");
    EXPECT_EQ(agent.exactly(12), "any protocol");
  }
  EXPECT_EQ(records(2).at(0).reason, "endpoint_allowed");
}

// T222
TEST_F(ExplicitProxy, CountsWhatAnEndpointDoesNotTake) {
  listen("127.0.0.7", 5432);
  auto& agent = proxy_client();
  agent.send(wire("CONNECT db.test:5432 HTTP/1.1|Host: db.test:5432||"));
  EXPECT_THAT(agent.head(), StartsWith("HTTP/1.1 200"));
  auto origin = this->origin("127.0.0.7", 5432);
  const std::string much(32 << 20, 'x');
  std::thread sender([&] { agent.send(much); });
  for (int i = 0; i < 5000 && account_->held() == 0; ++i) ::poll(nullptr, 0, 1);
  EXPECT_GT(account_->held(), 0U);
  EXPECT_EQ(origin.exactly(much.size()).size(), much.size());
  sender.join();
  EXPECT_EQ(held_in_the_end(), 0U);
}

TEST_F(ExplicitProxy, AnEndpointThatCannotBeReachedIsA502) {
  auto& agent = proxy_client();
  agent.send(connect_to("db.test:5432"));
  const std::string page = agent.rest();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502"));
  EXPECT_THAT(page, HasSubstr("Connection refused"));
}

TEST_F(ExplicitProxy, AReloadClosesTunnelsItDenies) {
  listen("127.0.0.7", 5432);
  auto& agent = proxy_client();
  agent.send(connect_to("db.test:5432"));
  auto server = origin("127.0.0.7", 5432);
  EXPECT_EQ(agent.head(), kEstablished);
  reload("domains: [allowed.test]");
  EXPECT_EQ(agent.rest(), "<reset>");
}

TEST_F(ExplicitProxy, ObserveStillDialsNoPrivateAddress) {
  use("mode: observe\n");
  for (const char* const authority :
       {"127.0.0.9:7000", "10.1.2.3:443", "169.254.169.254:80", "[::1]:443", "[fe80::1]:22", "[::ffff:127.0.0.2]:80"}) {
    auto& agent = proxy_client();
    agent.send(connect_to(authority));
    EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 403")) << authority;
  }
  auto& named = proxy_client();
  named.send(connect_to("hidden.test:22"));
  const std::string page = named.rest();
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: private_address")) << "a name that leads to loopback";
  EXPECT_THAT(page, Not(HasSubstr("127.0.0.6"))) << "of a name that the policy does not allow";
  EXPECT_THAT(log_.records().back().detail, HasSubstr("an address of the gateway's own machine"));
  EXPECT_FALSE(was_dialled("127.0.0.9", 7000));
}

TEST_F(ExplicitProxy, AConnectHasNoBody) {
  for (const char* const framing : {"Content-Length: 5", "Transfer-Encoding: chunked"}) {
    auto& agent = proxy_client();
    agent.send(wire(std::string("CONNECT allowed.test:443 HTTP/1.1|Host: allowed.test:443|") + framing + "||hello"));
    EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 400")) << framing;
  }
  auto& control = proxy_client();
  control.send(wire("CONNECT allowed.test:443 HTTP/1.1|Host: allowed.test:443|Content-Length: 0||"));
  EXPECT_EQ(control.head(), kEstablished);
}

TEST_F(ExplicitProxy, ObserveLetsTunnelsPassAndLogsThem) {
  use("mode: observe\ndomains: [{host: rules.test, addresses: [127.0.0.0/8], rules: [{methods: [GET]}]}]\n");
  listen("127.0.0.4", 443);
  auto& agent = proxy_client();
  agent.send(connect_to("rules.test:443"));
  EXPECT_EQ(agent.head(), kEstablished);
  const std::string hello = testing::tls::ordinary("rules.test");
  agent.send(hello);
  auto server = origin("127.0.0.4", 443);
  EXPECT_EQ(server.exactly(hello.size()), hello);
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "inspection_needed");
  EXPECT_THAT(record.detail, HasSubstr("observe"));
  EXPECT_TRUE(record.observed);
  auto& other = proxy_client();
  other.send(connect_to("rules.test:443"));
  EXPECT_EQ(other.head(), kEstablished);
  other.send(testing::tls::ordinary("other.test"));
  EXPECT_THAT(other.rest(), StartsWith("\x15\x03")) << "names that disagree are refused all the same";
}

TEST_F(ExplicitProxy, ConnectMayFollowOtherRequests) {
  auto& agent = proxy_client();
  agent.send(wire("GET http://denied.test/ HTTP/1.1|Host: denied.test||"));
  EXPECT_THAT(agent.message(), StartsWith("HTTP/1.1 403"));
  agent.send(connect_to("allowed.test:443"));
  EXPECT_EQ(agent.head(), kEstablished);
}

}  // namespace
}  // namespace soleroute::gateway::http::h1
