// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "gateway/http/h1/exchange.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::http::h1 {
namespace {

using namespace std::string_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Http1Requests = Http1Lab;

std::size_t announced_length(const std::string& page) {
  const auto at = page.find("Content-Length: ");
  return at == std::string::npos ? 0 : std::stoul(page.substr(at + 16));
}

// T077
TEST_F(Http1Requests, ADeniedHostGetsThePageAndTheConnectionStays) {
  auto& agent = client();
  agent.send(wire("GET /CANARY?token=SECRET HTTP/1.1|Host: denied.test|Authorization: SECRET||"));
  const std::string page = agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 Blocked by policy: "));
  EXPECT_THAT(page, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(page, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: host_not_allowed\r\n"));
  EXPECT_THAT(page, HasSubstr("\r\n\r\nBlocked by proxy policy: denied.test"));
  EXPECT_THAT(page, HasSubstr("- denied.test")) << "the line to add";
  EXPECT_THAT(page, Not(HasSubstr("CANARY")));
  EXPECT_THAT(page, Not(HasSubstr("SECRET")));
  EXPECT_THAT(page, Not(HasSubstr("Access-Control")));
  EXPECT_FALSE(was_dialled("127.0.0.2"));

  agent.send(wire("GET / HTTP/1.1|Host: allowed.test||"));
  auto server = origin("127.0.0.2");
  EXPECT_THAT(server.head(), StartsWith("GET / ")) << "control: the same connection goes on";

  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "host_not_allowed");
  EXPECT_EQ(record.host, "denied.test");
  EXPECT_EQ(record.path, "/CANARY");
  EXPECT_EQ(record.status, 403);
  EXPECT_EQ(counters_.decisions_denied, 1U);
}

class Http1DeniedPort : public Http1Lab {
 protected:
  Http1DeniedPort() {
    context_.names.use_denied(pool_);
    context_.own_addresses = {base::IpAddress::parse("10.77.0.2").value()};
  }
  base::IpAddress address_of(const char* name) {
    const auto host = base::HostName::parse(name).value();
    return pool_->give(base::IpAddress::parse("10.0.0.9").value(), host, net::Clock::now()).v4.value();
  }
  test::Peer& client_of(const char* name, std::uint16_t port) {
    return start([this, to = base::Endpoint{address_of(name), port}](flow::ClientConnection connection) {
      connection.original_destination = to;
      return ingress::serve_redirected(context_, std::move(connection));
    });
  }
  std::shared_ptr<dns::DeniedAddresses> pool_ = std::make_shared<dns::DeniedAddresses>(
      dns::DeniedNetworks{.v4 = base::Cidr::parse("100.65.0.0/16").value(), .v6 = std::nullopt});
};

TEST_F(Http1DeniedPort, HttpGetsThePageThatNamesThePort) {
  auto& agent = client_of("evil.test", 4873);
  agent.send(wire("GET /left-pad HTTP/1.1|Host: evil.test:4873||"));
  const std::string page = agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: endpoint_not_allowed\r\n"));
  EXPECT_THAT(page, HasSubstr("{host: evil.test, port: 4873}"));
  EXPECT_THAT(page, Not(HasSubstr("100.65.")));
  const auto record = records(1).at(0);
  EXPECT_EQ(record.host, "evil.test");
  EXPECT_EQ(record.port, 4873);
  EXPECT_EQ(record.reason, "endpoint_not_allowed");
}

TEST_F(Http1DeniedPort, WhateverHostTheRequestNamesNothingIsDialled) {
  for (const char* const host :
       {"allowed.test", "allowed.test:80", "127.0.0.2", "100.65.4.0:4873", "gateway.internal"}) {
    auto& agent = client_of("evil.test", 4873);
    agent.send(wire("GET / HTTP/1.1|Host: " + std::string(host) + "||"));
    EXPECT_THAT(agent.message(), HasSubstr("{host: evil.test, port: 4873}")) << host;
  }
  EXPECT_FALSE(was_dialled("127.0.0.2"));
}

TEST_F(Http1DeniedPort, WhatIsNeitherHttpNorTlsIsResetAndRecorded) {
  auto& agent = client_of("evil.test", 6380);
  agent.send("*1\r\n$4\r\nPING\r\n");
  EXPECT_EQ(agent.rest(), "<reset>");
  auto& silent = client_of("silent.test", 2222);
  EXPECT_EQ(silent.rest(), "<reset>") << "within a second";
  const auto both = records(2);
  EXPECT_EQ(both.at(0).host, "evil.test");
  EXPECT_EQ(both.at(0).port, 6380);
  EXPECT_EQ(both.at(0).reason, "endpoint_not_allowed");
  EXPECT_EQ(both.at(0).detail, "this gateway");
  EXPECT_EQ(both.at(1).host, "silent.test");
  EXPECT_EQ(both.at(1).port, 2222);
}

// The client still has the address that it got while the name was denied.
TEST_F(Http1DeniedPort, ANameThatIsAllowedNowIsServedByItsResolvedAddresses) {
  auto& before = client_of("db.test", 5433);
  before.send("hello");
  EXPECT_EQ(before.rest(), "<reset>") << "control: another port";
  (void)listen("127.0.0.7", 5432);
  auto& agent = client_of("db.test", 5432);
  agent.send("hello");
  auto server = origin("127.0.0.7", 5432);
  EXPECT_EQ(server.exactly(5), "hello");
  EXPECT_EQ(records(2).at(1).reason, "endpoint_allowed");
}

TEST_F(Http1DeniedPort, ARangeThatHasTheAddressDoesNotAllowIt) {
  reload(std::string(kPolicy) + "  - {cidr: 0.0.0.0/0, ports: [6380, 4873]}\n");
  auto& agent = client_of("evil.test", 6380);
  agent.send("*1\r\n$4\r\nPING\r\n");
  EXPECT_EQ(agent.rest(), "<reset>");
  EXPECT_EQ(records(1).at(0).reason, "endpoint_not_allowed");
}

// T131
TEST_F(Http1Requests, ThePageKeepsItsShapeInEveryForm) {
  auto& agent = client();
  agent.send(wire("HEAD / HTTP/1.1|Host: denied.test||GET / HTTP/1.1|Host: denied.test||"));
  const std::string to_head = agent.head();
  const std::string page = agent.message();
  EXPECT_GT(announced_length(to_head), 0U);
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403")) << "no body followed the answer to HEAD";
  EXPECT_EQ(announced_length(to_head), announced_length(page));

  agent.send(wire("GET / HTTP/1.1|Host: denied.test|Accept: application/json||"));
  const std::string json = agent.message();
  EXPECT_THAT(json, HasSubstr("Content-Type: application/problem+json\r\n"));
  EXPECT_THAT(json, HasSubstr("\"reason\": \"host_not_allowed\""));
  agent.send(wire("GET / HTTP/1.1|Host: denied.test|Accept: text/html, application/json||"));
  EXPECT_THAT(agent.message(), HasSubstr("text/plain")) << "the client prefers text";

  auto& old = client();
  old.send(wire("GET / HTTP/1.0|Host: denied.test||"));
  EXPECT_THAT(old.rest(), HasSubstr("Blocked by proxy policy: denied.test"));
  auto& markup = client();
  markup.send(wire("GET / HTTP/1.1|Host: <script>alert(1)</script>||"));
  const std::string refused = markup.rest();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 400 Bad Request"));
  EXPECT_THAT(refused, Not(HasSubstr("script")));
}

// T098
TEST_F(Http1Requests, ADeniedBodyIsNeitherAskedForNorRead) {
  auto& agent = client();
  agent.send(wire("POST / HTTP/1.1|Host: denied.test|Content-Length: 1000000|Expect: 100-continue||"));
  const std::string page = agent.rest();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403")) << "and no 100 before it";
  EXPECT_THAT(page, HasSubstr("Connection: close\r\n"));
  auto& other = client();
  other.send(wire("POST / HTTP/1.1|Host: denied.test|Content-Length: 40||GET /CANARY HTTP/1.1|Host: allowed.test||"));
  EXPECT_THAT(other.rest(), StartsWith("HTTP/1.1 403"));
  EXPECT_FALSE(was_dialled("127.0.0.2"));
}

TEST_F(Http1Requests, RulesDecideMethodAndPathOfEveryRequest) {
  auto& agent = client("127.0.0.4");
  const auto request = [](const std::string& line) { return wire(line + " HTTP/1.1|Host: rules.test||"); };
  agent.send(request("GET /ok/a"));
  auto server = origin("127.0.0.4");
  EXPECT_THAT(server.head(), StartsWith("GET /ok/a"));
  server.send(wire("HTTP/1.1 200 OK|Content-Length: 2||hi"));
  EXPECT_THAT(agent.message(), EndsWith("hi"));
  for (const std::string line :
       {"DELETE /ok/a", "GET /other", "GET /ok/../other", "GET /ok/%2e%2e/other", "get /ok/a"}) {
    agent.send(request(line));
    const std::string page = agent.message();
    EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: no_rule_matched")) << line;
    EXPECT_THAT(page, HasSubstr("/ok/")) << "which rules exist is said";
  }
  EXPECT_TRUE(server.silent());
  auto& insecure = client();
  insecure.send(wire("GET / HTTP/1.1|Host: secure.test||"));
  EXPECT_THAT(insecure.message(), HasSubstr("scheme_not_permitted"));
}

// T056, T088: what is no name is never dialled, whatever it would resolve to.
TEST_F(Http1Requests, AddressesAreNotNames) {
  for (const std::string host : {"127.0.0.3", "[::1]", "[::1]:80", "2130706434", "0x7f.2", "127.2", "1.1.1.1."}) {
    auto& agent = client();
    agent.send(wire("GET / HTTP/1.1|Host: " + host + "||"));
    const std::string page = agent.message();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 403")) << host;
    EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: invalid_name")) << host;
  }
  EXPECT_FALSE(was_dialled("127.0.0.2"));
  EXPECT_FALSE(was_dialled("127.0.0.3"));
}

// T056, T088: the page says what `gateway explain` says, and nothing passes by it, in observe mode neither.
TEST_F(Http1Requests, AnAddressThatIsAskedByItselfIsAMatterOfEndpoints) {
  const std::string request = wire("GET /CANARY HTTP/1.1|Host: 127.0.0.2||");
  for (const std::string mode : {"", "mode: observe\n"}) {
    use(kPolicy + mode);
    auto& agent = client("127.0.0.2");
    agent.send(request);
    const std::string page = agent.message();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 403")) << mode;
    EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: endpoint_not_allowed")) << mode;
    EXPECT_THAT(page, HasSubstr("\r\n\r\nBlocked by proxy policy: 127.0.0.2")) << mode;
    EXPECT_THAT(page, Not(HasSubstr("endpoints:"))) << "loopback is never suggested" << mode;
    EXPECT_THAT(page, Not(HasSubstr("CANARY"))) << mode;
  }
  for (const auto& record : records(2)) {
    EXPECT_EQ(record.reason, "endpoint_not_allowed");
    EXPECT_EQ(record.host, "127.0.0.2");
    EXPECT_EQ(record.destination, "127.0.0.2:80");
    EXPECT_FALSE(record.observed);
  }
  use(kPolicy);
  hold([this] { context_.own_addresses = {base::IpAddress::parse("127.0.0.2").value()}; });
  auto& to_the_gateway = client("127.0.0.2");
  to_the_gateway.send(request);
  EXPECT_THAT(to_the_gateway.message(), HasSubstr("X-Soleroute-Reason: invalid_name"))
      << "no endpoint leads on from it";
  EXPECT_FALSE(was_dialled("127.0.0.2"));
  auto& control = client("127.0.0.2");
  control.send(wire("GET / HTTP/1.1|Host: allowed.test||"));
  EXPECT_THAT(origin("127.0.0.2").head(), StartsWith("GET / "));
}

// T079 to T097: every fault is answered with its status, then the connection ends; nothing reaches an origin.
TEST_F(Http1Requests, FaultsAreAnsweredAndEndTheConnection) {
  struct Case {
    std::string request;
    int status;
  };
  const std::string host = "|Host: allowed.test|";
  const std::vector<Case> cases = {
      {"POST / HTTP/1.1" + host +
           "Content-Length: 6|Transfer-Encoding: chunked||0||GET /CANARY HTTP/1.1|Host: x.test||",
       400},
      {"POST / HTTP/1.1" + host + "Transfer-Encoding: xchunked||0||", 400},
      {"POST / HTTP/1.1" + host + "Transfer-Encoding: gzip, chunked||0||", 501},
      {"POST / HTTP/1.1" + host + "Content-Length: 5|Content-Length: 5||hello", 400},
      {"GET / HTTP/1.1|Host: allowed.test|Host: denied.test||", 400},
      {"GET / HTTP/1.1||", 400},
      {"GET http://denied.test/ HTTP/1.1" + host + "|", 400},
      {"GET https://allowed.test/ HTTP/1.1" + host + "|", 400},
      {"GET / HTTP/1.1|Host: allowed.test:443||", 400},
      {"GET / HTTP/1.1|Host: allowed.test:22||", 400},
      {"GET / HTTP/1.1\nHost: allowed.test\n\n", 400},
      {"GET / HTTP/1.1" + host + ": x||", 400},
      {"GET /" + std::string(9000, 'x') + " HTTP/1.1" + host + "|", 414},
      {"GET / HTTP/1.1" + host + "X: " + std::string(70000, 'x') + "||", 431},
      {"CONNECT denied.test:443 HTTP/1.1|Host: denied.test:443||", 405},
      {"CONNECT allowed.test:443 HTTP/1.1|Host: allowed.test:443||", 405},
      {"connect allowed.test:443 HTTP/1.1|Host: allowed.test:443||", 405},
      {"TRACE / HTTP/1.1" + host + "|", 405},
      {"trace / HTTP/1.1" + host + "|", 405},
      {"TRACK / HTTP/1.1" + host + "|", 405},
      {"GET / HTTP/2.0" + host + "|", 505},
      {"GET /CANARY|", 400},
      {std::string(5000, 'A') + " / HTTP/1.1" + host + "|", 501},
      {"POST / HTTP/1.1" + host + "Content-Length: 5|Expect: x||", 417},
      {"POST / HTTP/1.1" + host + "Transfer-Encoding: chunked||5 |hello|0||", 400},
  };
  for (const auto& c : cases) {
    auto& agent = client();
    agent.send(wire(c.request) + wire("GET /CANARY HTTP/1.1|Host: allowed.test||"));
    const std::string page = agent.rest();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 " + std::to_string(c.status) + " ")) << c.request.substr(0, 100);
    EXPECT_THAT(page, HasSubstr("Connection: close")) << c.request.substr(0, 100);
    EXPECT_EQ(page.find("HTTP/1.1 ", 5), std::string::npos) << "one answer only";
  }
  EXPECT_FALSE(was_dialled("127.0.0.2"));
  const auto all = records(cases.size());
  ASSERT_EQ(all.size(), cases.size()) << "one record each";
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(all[i].allowed);
    EXPECT_EQ(all[i].status, cases[i].status);
    EXPECT_FALSE(all[i].detail.empty());
  }
  auto& control = client();
  control.send(wire("GET / HTTP/1.1|Host: allowed.test:80||"));
  EXPECT_THAT(origin("127.0.0.2").head(), StartsWith("GET / "));
}

// T134
TEST_F(Http1Requests, AHeadThatTakesTooLongIsA408) {
  first_bytes_ = std::chrono::milliseconds(50);
  auto& agent = client();
  agent.send("GET / HTTP/1.1\r\nHost: allo");
  EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 408 Request Timeout"));
  EXPECT_EQ(records(1).at(0).reason, "timed_out");
}

TEST_F(Http1Requests, AHeadInPiecesIsReadWhole) {
  auto& agent = client();
  const std::string request = wire("GET /a HTTP/1.1|Host: allowed.test|X: y||");
  for (const char c : request) agent.send({&c, 1});
  EXPECT_EQ(origin("127.0.0.2").head(), request);
}

TEST_F(Http1Requests, AnUnfinishedHeadIsLoggedAndASilentEndIsNot) {
  auto& agent = client();
  agent.finish();
  EXPECT_EQ(agent.rest(), "");
  auto& half = client();
  half.send("GET / HTTP/1.1\r\n");
  half.finish();
  EXPECT_EQ(half.rest(), "");
  EXPECT_THAT(records(1).at(0).detail, HasSubstr("before the request head was whole"));
  EXPECT_EQ(records(1).size(), 1U);
}

TEST_F(Http1Requests, AnOriginThatCannotBeReachedIsNamedWithTheCause) {
  auto& agent = client();
  agent.send(wire("GET / HTTP/1.1|Host: closed.test||"));
  const std::string page = agent.rest();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Cannot reach: "));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: upstream_failed"));
  EXPECT_THAT(page, HasSubstr("closed.test"));
  EXPECT_THAT(page, HasSubstr("Connection refused"));
  auto& nowhere = client();
  nowhere.send(wire("GET / HTTP/1.1|Host: nowhere.test||"));
  EXPECT_THAT(nowhere.rest(), HasSubstr("nowhere.test has no address"));
}

// T040
TEST_F(Http1Requests, ANameThatLeadsInsideIsRefusedAndSaysHowToAllowIt) {
  listen("127.0.0.6");
  auto& agent = client("127.0.0.6");
  agent.send(wire("GET / HTTP/1.1|Host: hidden.test||"));
  const std::string page = agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Blocked by policy: hidden.test (private address)"));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: private_address"));
  EXPECT_THAT(page, HasSubstr("hidden.test"));
  EXPECT_FALSE(was_dialled("127.0.0.6"));
  EXPECT_EQ(records(1).at(0).reason, "private_address");
}

TEST_F(Http1Requests, ObserveLetsPassWhatThePolicyDeniesAndLogsIt) {
  use("mode: observe\ndomains: [{host: rules.test, addresses: [127.0.0.0/8], rules: [{methods: [GET], path: {exact: "
      "/ok}}]}]\n");
  auto& agent = client("127.0.0.4");
  agent.send(wire("POST /denied HTTP/1.1|Host: rules.test|Content-Length: 0||"));
  auto server = origin("127.0.0.4");
  EXPECT_THAT(server.head(), StartsWith("POST /denied"));
  server.send(wire("HTTP/1.1 200 OK|Content-Length: 2||hi"));
  EXPECT_THAT(agent.message(), EndsWith("hi"));
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "no_rule_matched");
  EXPECT_THAT(record.detail, HasSubstr("observe"));
  agent.send(wire("GET / HTTP/1.1|Host: 127.0.0.4||"));
  EXPECT_THAT(agent.message(), StartsWith("HTTP/1.1 403")) << "what is wrong in itself is refused all the same";
}

TEST_F(Http1Requests, AClientThatBreaksOffEndsTheWait) {
  auto& agent = client();
  agent.send(wire("GET / HTTP/1.1|Host: allowed.test||"));
  auto server = origin("127.0.0.2");
  server.head();
  agent.abort();
  EXPECT_EQ(server.rest(), "") << "the origin is let go although it never answered";
}

}  // namespace
}  // namespace soleroute::gateway::http::h1
