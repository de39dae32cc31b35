// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "gateway/http/internal_site.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::http::h1 {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using GatewayInternal = Http1Lab;

std::string get(const std::string& path, const std::string& more = "") {
  return wire("GET " + path + " HTTP/1.1|Host: gateway.internal|" + more + "|");
}

TEST_F(GatewayInternal, AnswersEachPageOnOneConnection) {
  auto& agent = client();
  for (const auto& [path, type, text] : {
           std::tuple{"/", "text/plain; charset=utf-8", "restricted by an allowlist"},
           std::tuple{"/?x", "text/plain; charset=utf-8", "allowed.test"},
           std::tuple{"/policy", "text/plain; charset=utf-8", "http only, GET HEAD, paths beginning with /ok/"},
           std::tuple{"/policy.json", "application/json", "\"prefix\": \"/ok/\""},
           std::tuple{"/denials", "application/json", "\"denials\":[]"},
       }) {
    agent.send(get(path));
    const std::string page = agent.message();
    EXPECT_THAT(page, AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr(text))) << path;
    EXPECT_THAT(page, HasSubstr(wire("Content-Type: ") + type + "\r\n")) << path;
    EXPECT_THAT(page, HasSubstr("X-Content-Type-Options: nosniff")) << path;
    EXPECT_THAT(page, Not(HasSubstr("Access-Control"))) << path;
  }
  const auto record = records(5).at(0);
  EXPECT_TRUE(record.allowed);
  EXPECT_EQ(record.host, "gateway.internal");
  EXPECT_EQ(record.detail, "this gateway");
  EXPECT_EQ(record.status, 200);
}

TEST_F(GatewayInternal, GivesThePolicyAsJsonToThoseThatTakeNothingElse) {
  auto& agent = client();
  agent.send(get("/policy", "Accept: application/json|"));
  EXPECT_THAT(agent.message(), HasSubstr("\"mode\": \"enforce\""));
  agent.send(get("/policy", "Accept: text/html, application/json|"));
  EXPECT_THAT(agent.message(), HasSubstr("allowed.test: everything, http and https"));
}

TEST_F(GatewayInternal, IsThereForTheExplicitProxyAsWell) {
  auto& agent = proxy_client();
  agent.send(wire("GET http://gateway.internal/policy HTTP/1.1|Host: gateway.internal||"));
  EXPECT_THAT(agent.message(), HasSubstr("allowed.test"));
  agent.send(wire("GET http://gateway.internal:8080/policy HTTP/1.1|Host: gateway.internal:8080||"));
  EXPECT_THAT(agent.message(), StartsWith("HTTP/1.1 403")) << "another port is not this page";
}

TEST_F(GatewayInternal, CanOnlyBeRead) {
  for (const char* const method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"}) {
    auto& agent = client();
    agent.send(wire(std::string(method) + " /policy HTTP/1.1|Host: gateway.internal|Content-Length: 3||abc"));
    const std::string page = agent.rest();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 405")) << method;
    EXPECT_THAT(page, HasSubstr("Allow: GET, HEAD\r\n")) << method;
    EXPECT_THAT(page, HasSubstr("Connection: close")) << method << ": its body was not read";
  }
  auto& head = client();
  head.send(wire("HEAD / HTTP/1.1|Host: gateway.internal|Connection: close||"));
  EXPECT_THAT(head.rest(), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("\r\n\r\n"))) << "no body";
}

TEST_F(GatewayInternal, ReflectsNothingOfTheRequest) {
  for (const char* const path : {"/<script>alert(1)</script>", "/%3Cscript%3E", "/../policy", "//policy", "/policy/",
                                 "/DENIALS", "/policy.json/x", "/ca.pem%00", "/%70olicy"}) {
    auto& agent = client();
    agent.send(get(path, "Connection: close|"));
    const std::string page = agent.rest();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 404 Not Found")) << path;
    EXPECT_THAT(page, Not(HasSubstr("script"))) << path;
  }
  auto& control = client();
  control.send(get("/policy", "Connection: close|"));
  EXPECT_THAT(control.rest(), StartsWith("HTTP/1.1 200")) << "control";
}

TEST_F(GatewayInternal, SaysThatThereIsNoCertificateWhileThereIsNoCa) {
  auto& agent = client();
  agent.send(get("/ca.pem"));
  EXPECT_THAT(agent.message(), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("has no CA")));
  agent.send(get("/ca.crl"));
  EXPECT_THAT(agent.message(), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("has no CA")));
}

TEST_F(GatewayInternal, TellsAClientItsOwnRefusalsNewestFirst) {
  auto& agent = client();
  for (const char* const host : {"first.test", "second.test"}) {
    agent.send(wire(std::string("GET /secret?token=1 HTTP/1.1|Host: ") + host + "||"));
    EXPECT_THAT(agent.message(), StartsWith("HTTP/1.1 403"));
  }
  audit::DecisionRecord others;
  others.client = base::IpAddress::parse("10.0.0.77").value();
  others.host = "neighbour.test";
  denials_.note(others);
  agent.send(get("/denials"));
  const std::string page = agent.message();
  EXPECT_LT(page.find("second.test"), page.find("first.test")) << page;
  EXPECT_THAT(page, HasSubstr("\"client\":\"10.0.0.9\""));
  EXPECT_THAT(page, HasSubstr("\"reason\":\"host_not_allowed\""));
  EXPECT_THAT(page, HasSubstr(R"("suggestion":"domains:\u000a  - second.test\u000a  - first.test\u000a")"));
  EXPECT_THAT(page, Not(HasSubstr("neighbour"))) << "another client's";
  EXPECT_THAT(page, Not(HasSubstr("token"))) << "queries are kept nowhere";
  agent.send(get("/"));
  EXPECT_THAT(agent.message(),
              AllOf(HasSubstr("Recently denied: 2. To allow them, add:"), HasSubstr("    - second.test")));
}

TEST_F(GatewayInternal, CanNeitherBeShadowedNorOpenedByAPolicy) {
  listen("127.0.0.2", 443);
  use("domains: [gateway.internal, \"*.gateway.internal\", allowed.test]\nmode: observe\n");
  auto& agent = client();
  agent.send(get("/"));
  EXPECT_THAT(agent.message(), HasSubstr("restricted by an allowlist"));
  auto& post = client();
  post.send(wire("POST / HTTP/1.1|Host: gateway.internal|Content-Length: 0||"));
  EXPECT_THAT(post.message(), StartsWith("HTTP/1.1 405"));
}

TEST_F(GatewayInternal, KeepsItsConnectionsOverAReload) {
  auto& agent = client();
  agent.send(get("/"));
  EXPECT_THAT(agent.message(), HasSubstr("allowed.test"));
  reload("domains: [fresh.test]\n");
  agent.send(get("/"));
  EXPECT_THAT(agent.message(), AllOf(HasSubstr("fresh.test"), Not(HasSubstr("allowed.test"))));
}

audit::DecisionRecord refusal(const std::string& client, const std::string& host) {
  audit::DecisionRecord record;
  record.client = base::IpAddress::parse(client).value();
  record.host = host;
  return record;
}

TEST(RecentDenials, KeepsTheNewestOfEachClient) {
  flow::RecentDenials book({});
  for (std::size_t i = 0; i < flow::RecentDenials::kPerClient + 5; ++i)
    book.note(refusal("10.0.0.1", std::to_string(i)));
  const auto kept = book.of(base::IpAddress::parse("10.0.0.1").value());
  ASSERT_EQ(kept.size(), flow::RecentDenials::kPerClient);
  EXPECT_EQ(kept.front().record.host, std::to_string(flow::RecentDenials::kPerClient + 4));
  EXPECT_EQ(kept.back().record.host, "5");
}

TEST(RecentDenials, ForgetsTheClientThatWasRefusedLongestAgo) {
  flow::RecentDenials book({});
  book.note(refusal("10.0.0.1", "x"));
  book.note(refusal("10.0.0.2", "x"));
  book.note(refusal("10.0.0.1", "y"));
  for (std::size_t i = 0; i + 1 < flow::RecentDenials::kMaxClients; ++i) {
    book.note(refusal("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250), "x"));
  }
  EXPECT_THAT(book.of(base::IpAddress::parse("10.0.0.2").value()), IsEmpty());
  EXPECT_EQ(book.of(base::IpAddress::parse("10.0.0.1").value()).size(), 2U);
}

TEST(RecentDenials, IsToldOnceForEachRefusalAndPolicy) {
  flow::RecentDenials book({});
  const auto client = base::IpAddress::parse("10.0.0.1").value();
  const auto policy = std::make_shared<const int>(1);
  int asked = 0;
  const auto tell = [&](const std::vector<flow::Denial>& denials) {
    ++asked;
    return flow::DenialsPage{denials.size(), {}, std::make_shared<const std::string>(std::to_string(asked))};
  };
  book.note(refusal("10.0.0.1", "x"));
  const auto first = book.told(client, "", policy, tell);
  EXPECT_EQ(book.told(client, "", policy, tell), first) << "the same text, not another like it";
  EXPECT_EQ(asked, 1);
  book.note(refusal("10.0.0.2", "x"));
  EXPECT_EQ(book.told(client, "", policy, tell), first) << "another client's refusal changes nothing";
  book.note(refusal("10.0.0.1", "y"));
  EXPECT_EQ(book.told(client, "", policy, tell)->count, 2U);
  EXPECT_EQ(asked, 2);
  const auto next = std::make_shared<const int>(2);
  (void)book.told(client, "", next, tell);
  EXPECT_EQ(asked, 3) << "the lines that would allow it are another policy's";
}

TEST(RecentDenials, CutsLongTexts) {
  flow::RecentDenials book({});
  book.note(refusal("10.0.0.1", std::string(100000, 'x')));
  EXPECT_EQ(book.of(base::IpAddress::parse("10.0.0.1").value()).front().record.host.size(),
            flow::RecentDenials::kMaxText);
}

TEST(RecentDenials, TakesAllAddressesOfASharedNamespaceForOneClient) {
  flow::RecentDenials book({base::IpAddress::parse("100.64.0.1").value(), base::IpAddress::parse("fd00::1").value()});
  for (const char* const address : {"127.0.0.1", "100.64.0.1", "fd00::1", "::1", "::ffff:127.0.0.53"}) {
    book.note(refusal(address, "x"));
  }
  book.note(refusal("10.0.0.1", "x"));
  EXPECT_EQ(book.of(base::IpAddress::parse("127.0.0.9").value()).size(), 5U);
  EXPECT_EQ(book.of(base::IpAddress::parse("10.0.0.1").value()).size(), 1U);
}

}  // namespace
}  // namespace soleroute::gateway::http::h1
