// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "gateway/inspect/inspection.h"
#include "tests/support/tls_peer.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::http::h1 {
namespace {

using test::TlsPeer;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestAuthority;

constexpr const char* kInspectedPolicy = R"(
domains:
  - host: api.test
    addresses: [127.0.0.0/8]
    rules: [{schemes: [https], path: {prefix: /ok/}}]
  - {host: other.test, addresses: [127.0.0.0/8], tls: inspect}
  - {host: plain.test, addresses: [127.0.0.0/8]}
)";

// Signs on the spot, and counts.
class LeavesOnTheSpot final : public inspect::LeafSource {
 public:
  explicit LeavesOnTheSpot(const TestAuthority& authority) : authority_(authority) {}
  boost::asio::awaitable<base::Result<std::shared_ptr<const inspect::Leaf>>> leaf_for(base::HostName name,
                                                                                      inspect::LeafUse use) override {
    used = use;
    ++made;
    auto issued = authority_.issue_for(name.text());
    co_return std::make_shared<const inspect::Leaf>(std::move(issued.certificate), std::vector<inspect::X509Ptr>{},
                                                    std::move(issued.key));
  }
  std::atomic<int> made = 0;
  std::atomic<inspect::LeafUse> used = inspect::LeafUse::kInspection;

 private:
  const TestAuthority& authority_;
};

class Inspected : public Http1Lab {
 protected:
  Inspected() {
    answer("api.test", "127.0.0.2");
    answer("other.test", "127.0.0.3");
    use(kInspectedPolicy);
    context_.inspection = inspect::make_inspection(leaves_, authority_.pem(), origins_.pem()).value();
    for (const char* const address : {"127.0.0.2", "127.0.0.3"}) listen(address, 443);
  }

  // A client on port 443 whose first bytes are not sent yet.
  TlsPeer agent(SSL_CTX* context, const std::string& destination = "127.0.0.2") {
    auto& plain = start([this, destination](flow::ClientConnection connection) {
      connection.original_destination = {base::IpAddress::parse(destination).value(), 443};
      connection.stream->expires_after(first_bytes_);
      return ingress::serve_redirected(context_, std::move(connection));
    });
    return {plain.release(), context};
  }
  TlsPeer agent() { return agent(trusting_.get()); }

  // The origin's end of the next connection there, its handshake begun by a thread of its own.
  TlsPeer tls_origin(SSL_CTX* context, const std::string& address = "127.0.0.2") {
    const base::Fd& listener = listen(address, 443);
    pollfd asked{listener.get(), POLLIN, 0};
    if (::poll(&asked, 1, test::kPatienceMs) != 1) ADD_FAILURE() << "nobody connected to " << address;
    TlsPeer peer(base::Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)), context);
    return peer;
  }

  struct Ends {
    TlsPeer agent;
    TlsPeer origin;
  };
  // An inspected connection, up on both sides.
  Ends connected(const std::string& name = "api.test", const std::string& address = "127.0.0.2") {
    const std::string alpn = test::alpn_list({"h2", "http/1.1"});
    TlsPeer client = agent(trusting_.get(), address);
    auto up = std::async(std::launch::async, [&] { return client.connect(name, alpn); });
    TlsPeer server = tls_origin(sound_.get(), address);
    EXPECT_TRUE(server.accept()) << TlsPeer::error();
    EXPECT_TRUE(up.get()) << TlsPeer::error();
    return {std::move(client), std::move(server)};
  }

  TestAuthority authority_{"The gateway's CA"};
  TestAuthority origins_{"The origins' root"};
  std::shared_ptr<LeavesOnTheSpot> leaves_ = std::make_shared<LeavesOnTheSpot>(authority_);
  test::ContextPtr trusting_ = test::client_context(authority_.certificate());
  test::ContextPtr trusting_12_ = test::client_context(authority_.certificate(), TLS1_2_VERSION);
  test::ContextPtr distrusting_ = test::client_context(nullptr);
  test::ContextPtr sound_ = test::server_context(
      origins_.issue({.common_name = "origin", .alternative_names = "DNS:api.test, DNS:other.test, DNS:plain.test"}));
};

TEST_F(Inspected, EachRequestIsDecidedByItsPath) {
  auto ends = connected();
  const std::string request = wire("GET /ok/a?b=%63 HTTP/1.1|hOST: api.test|X-One:  1|x-one: 2||");
  ends.agent.send(request);
  EXPECT_EQ(ends.origin.head(), request) << "the client's own bytes";
  const std::string answer = wire("HTTP/1.1 200 OK|Content-Length: 3||yes");
  ends.origin.send(answer);
  EXPECT_EQ(ends.agent.message(), answer);

  ends.agent.send(wire("GET /no HTTP/1.1|Host: api.test||"));
  const std::string page = ends.agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 Blocked by policy: "));
  EXPECT_THAT(page, HasSubstr("\r\n\r\nBlocked by proxy policy: api.test"));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: no_rule_matched\r\n"));
  EXPECT_THAT(page, HasSubstr("path: {exact: \"/no\"}")) << "the lines to add";

  ends.agent.send(wire("GET /ok/../no HTTP/1.1|Host: api.test||"));
  EXPECT_THAT(ends.agent.message(), StartsWith("HTTP/1.1 403")) << "dot segments widen no prefix";

  ends.agent.send(wire("GET /ok/c HTTP/1.1|Host: api.test:443||"));
  EXPECT_THAT(ends.origin.head(), StartsWith("GET /ok/c ")) << "what was refused did not reach it";

  const auto seen = records(3);
  ASSERT_GE(seen.size(), 3u);
  EXPECT_TRUE(seen[0].allowed);
  EXPECT_EQ(seen[0].scheme, "https");
  EXPECT_EQ(seen[0].port, 443);
  EXPECT_EQ(seen[0].path, "/ok/a");
  EXPECT_EQ(seen[0].rule, "policy.yaml:5");
  EXPECT_FALSE(seen[1].allowed);
  EXPECT_EQ(seen[1].reason, "no_rule_matched");
  EXPECT_EQ(seen[1].status, 403);
}

// T054, T093, T116
TEST_F(Inspected, ARequestForAnotherHostIsMisdirected) {
  auto ends = connected();
  for (const char* const host : {"other.test", "plain.test", "denied.test"}) {
    ends.agent.send(wire(std::string("GET /ok/CANARY HTTP/1.1|Host: ") + host + "||"));
    const std::string page = ends.agent.message();
    EXPECT_THAT(page, StartsWith("HTTP/1.1 421 Host mismatch: "));
    EXPECT_THAT(page, HasSubstr(std::string("Blocked by proxy policy: ") + host));
  }
  ends.agent.send(wire("GET /ok/ HTTP/1.1|Host: API.TEST.||"));
  EXPECT_THAT(ends.origin.head(), StartsWith("GET /ok/ ")) << "another spelling of the same name";
  EXPECT_FALSE(was_dialled("127.0.0.3", 443));
  EXPECT_EQ(records(1).at(0).reason, "name_mismatch");
}

TEST_F(Inspected, WhatIsNoRequestForThisConnectionIsRefused) {
  struct Row {
    const char* request;
    const char* status;
  };
  for (const Row& row :
       {Row{"GET http://api.test/ok/ HTTP/1.1|Host: api.test||", "HTTP/1.1 400"},
        Row{"GET /ok/ HTTP/1.1|Host: api.test:80||", "HTTP/1.1 400"},
        Row{"GET /ok/ HTTP/1.1|Host: 127.0.0.2||", "HTTP/1.1 403"},
        Row{"CONNECT api.test:443 HTTP/1.1|Host: api.test:443||", "HTTP/1.1 405"},
        Row{"TRACE /ok/ HTTP/1.1|Host: api.test||", "HTTP/1.1 405"},
        Row{"POST /ok/ HTTP/1.1|Host: api.test|Content-Length: 1|Transfer-Encoding: chunked||", "HTTP/1.1 400"},
        Row{"PRI * HTTP/2.0||SM||", "HTTP/1.1 "}}) {
    auto ends = connected();
    ends.agent.send(wire(row.request));
    EXPECT_THAT(ends.agent.message(), StartsWith(row.status)) << row.request;
    ends.agent.cut();
    EXPECT_THAT(ends.origin.rest(), AnyOf("", "<cut>")) << row.request;
  }
}

TEST_F(Inspected, TheCertificateIsForTheNameAndTheProtocolIsTheOrigins) {
  auto ends = connected();
  const unsigned char* alpn = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ends.agent.ssl(), &alpn, &size);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(alpn), size), "http/1.1");
  EXPECT_STREQ(SSL_get_servername(ends.origin.ssl(), TLSEXT_NAMETYPE_host_name), "api.test");
  EXPECT_EQ(leaves_->used, inspect::LeafUse::kInspection);
}

// T113: the client is told what is wrong, over TLS that it trusts, and the origin saw no request.
TEST_F(Inspected, ABadCertificateOfTheOriginIsAPage) {
  auto issued = origins_.issue({.common_name = "x", .alternative_names = "DNS:api.test", .until = -3600});
  const auto expired = test::server_context(issued);
  TlsPeer client = agent();
  auto up = std::async(std::launch::async, [&] { return client.connect("api.test"); });
  TlsPeer server = tls_origin(expired.get());
  EXPECT_FALSE(server.accept());
  ASSERT_TRUE(up.get()) << TlsPeer::error();
  client.send(wire("POST /ok/ HTTP/1.1|Host: api.test|Content-Length: 6||CANARY"));
  const std::string page = client.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Cannot reach: "));
  EXPECT_THAT(page, HasSubstr("api.test: its certificate expired on 20"));
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "upstream_failed");
  EXPECT_EQ(record.status, 502);
  EXPECT_THAT(record.detail, HasSubstr("its certificate expired on"));
}

TEST_F(Inspected, AClientThatDistrustsTheCaIsLoggedAsSuch) {
  TlsPeer client = agent(distrusting_.get());
  auto up = std::async(std::launch::async, [&] { return client.connect("api.test"); });
  TlsPeer server = tls_origin(sound_.get());
  EXPECT_TRUE(server.accept());
  EXPECT_FALSE(up.get());
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "certificate_refused");
  EXPECT_EQ(record.host, "api.test");
  EXPECT_THAT(record.detail, AllOf(HasSubstr("unknown ca"), HasSubstr("gateway ca"), HasSubstr("tls: passthrough")));
}

// A clock of the client that is a year ahead or behind.
TEST_F(Inspected, AClientWhoseClockIsWrongIsLoggedAsSuch) {
  constexpr long kYear = 365L * 24 * 3600;
  for (const long offset : {kYear, -kYear}) {
    auto wrong = test::client_context(authority_.certificate());
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(wrong.get()), std::time(nullptr) + offset);
    TlsPeer client = agent(wrong.get());
    auto up = std::async(std::launch::async, [&] { return client.connect("api.test"); });
    TlsPeer server = tls_origin(sound_.get());
    EXPECT_TRUE(server.accept());
    EXPECT_FALSE(up.get());
  }
  const auto both = records(2);
  EXPECT_THAT(both.at(0).detail, AllOf(HasSubstr("certificate expired"), HasSubstr("clock of the client is wrong"),
                                       HasSubstr("is valid from 20")));
  EXPECT_THAT(both.at(1).detail, AllOf(HasSubstr("bad certificate"), HasSubstr("Or set the client's clock")));
}

TEST_F(Inspected, ADeniedHostGetsThePageAndIsNeverDialled) {
  TlsPeer client = agent();
  ASSERT_TRUE(client.connect("denied.test", test::alpn_list({"h2", "http/1.1"}))) << TlsPeer::error();
  client.send(wire("GET /CANARY HTTP/1.1|Host: denied.test||"));
  const std::string page = client.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 Blocked by policy: "));
  EXPECT_THAT(page, HasSubstr("\r\n\r\nBlocked by proxy policy: denied.test"));
  EXPECT_THAT(page, HasSubstr("- denied.test"));
  client.cut();
  const auto record = records(1).at(0);
  EXPECT_EQ(record.reason, "host_not_allowed");
  EXPECT_EQ(record.status, 403);
  EXPECT_EQ(record.scheme, "https");
  EXPECT_FALSE(was_dialled("127.0.0.2", 443));
}

// urllib, HttpsURLConnection, wget: who offers no ALPN speaks HTTP/1.
TEST_F(Inspected, ADeniedHostsPageIsForClientsWithoutAlpnToo) {
  TlsPeer client = agent();
  ASSERT_TRUE(client.connect("denied.test", "")) << TlsPeer::error();
  const unsigned char* agreed = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(client.ssl(), &agreed, &size);
  EXPECT_EQ(size, 0u) << "what was not asked for is not answered (RFC 7301 section 3.1)";
  client.send(wire("GET /CANARY HTTP/1.1|Host: denied.test||"));
  const std::string page = client.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 Blocked by policy: "));
  EXPECT_THAT(page, HasSubstr("\r\n\r\nBlocked by proxy policy: denied.test"));
  EXPECT_EQ(leaves_->used, inspect::LeafUse::kRefusal);
  client.cut();
  const auto record = records(1).at(0);
  EXPECT_EQ(record.reason, "host_not_allowed");
  EXPECT_EQ(record.status, 403);
  EXPECT_FALSE(was_dialled("127.0.0.2", 443));
}

// As through an explicit proxy, which resolves the name itself: an alert would say nothing.
TEST_F(Inspected, ANameWithAPrivateAddressGetsThePageThatListsIt) {
  answer("inside.test", "10.1.2.3");
  use("domains: [inside.test]\n");
  TlsPeer client = agent();
  ASSERT_TRUE(client.connect("inside.test", test::alpn_list({"http/1.1"}))) << TlsPeer::error();
  client.send(wire("GET /x HTTP/1.1|Host: inside.test||"));
  const std::string page = client.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Blocked by policy: inside.test (private address)\r\n"));
  EXPECT_THAT(page, HasSubstr("domains:\n  - {host: inside.test, addresses: [10.1.2.3/32]}\n"));
  EXPECT_EQ(leaves_->used, inspect::LeafUse::kRefusal);
  client.cut();
  const auto record = records(1).at(0);
  EXPECT_EQ(record.reason, "private_address");
  EXPECT_EQ(record.resolved, "10.1.2.3");
  EXPECT_FALSE(record.allowed);
}

TEST_F(Inspected, ADeniedClientOfAnotherProtocolGetsAnAlertAndNoCertificate) {
  for (const auto& offered : {test::alpn_list({"ssh"}), test::alpn_list({"dot", "acme-tls/1"})}) {
    TlsPeer client = agent();
    EXPECT_FALSE(client.connect("denied.test", offered));
    EXPECT_EQ(TlsPeer::error(), "tlsv1 alert access denied");
  }
  for (const auto& record : records(2)) {
    EXPECT_EQ(record.reason, "host_not_allowed");
    EXPECT_EQ(record.host, "denied.test");
  }
  EXPECT_EQ(leaves_->made, 0);
  TlsPeer either = agent();
  EXPECT_TRUE(either.connect("denied.test", test::alpn_list({"ssh", "http/1.1"}))) << "the control: HTTP is among them";
  EXPECT_EQ(leaves_->made, 1);
}

TEST_F(Inspected, AHelloWithoutANameGetsAnAlertAndNoCertificate) {
  for (const auto& offered : {std::string(), test::alpn_list({"http/1.1"})}) {
    TlsPeer client = agent();
    EXPECT_FALSE(client.connect("", offered));
    EXPECT_EQ(TlsPeer::error(), "tlsv1 unrecognized name");
  }
  for (const auto& record : records(2)) EXPECT_EQ(record.reason, "no_sni");
  EXPECT_EQ(leaves_->made, 0);
}

TEST_F(Inspected, TheLogSaysWhenADeniedClientTookNoCertificate) {
  const std::string http1 = test::alpn_list({"http/1.1"});
  for (const auto& offered : {http1, std::string()}) {
    TlsPeer client = agent(distrusting_.get());
    EXPECT_FALSE(client.connect("denied.test", offered));
  }
  TlsPeer silent = agent();
  EXPECT_TRUE(silent.connect("denied.test"));
  silent.finish();
  EXPECT_THAT(silent.rest(), IsEmpty());
  const auto seen = records(3);
  ASSERT_EQ(seen.size(), 3u);
  for (const auto& record : seen) EXPECT_EQ(record.reason, "host_not_allowed");
  for (const auto& record : {seen[0], seen[1]}) EXPECT_THAT(record.detail, HasSubstr("does not trust"));
  EXPECT_THAT(seen[2].detail, HasSubstr("sent no request"));
}

// T115
TEST_F(Inspected, OneClientHasOnlySoManyCertificatesMadeForDeniedNames) {
  const auto client_address = base::IpAddress::parse("10.0.0.9").value();
  const auto later = net::Clock::now() + std::chrono::hours(1);  // so that nothing comes back meanwhile
  int pages = 0;
  while (context_.refusal_pages.take(client_address, later)) ++pages;
  EXPECT_EQ(pages, static_cast<int>(flow::RefusalPages::kBurst));
  EXPECT_TRUE(context_.refusal_pages.take(base::IpAddress::parse("10.0.0.10").value(), later)) << "another client";
  for (const auto& offered : {test::alpn_list({"http/1.1"}), std::string()}) {
    TlsPeer client = agent();
    EXPECT_FALSE(client.connect("denied.test", offered));
    EXPECT_EQ(TlsPeer::error(), "tlsv1 alert access denied");
  }
  for (const auto& record : records(2)) EXPECT_EQ(record.reason, "host_not_allowed") << "it is logged all the same";
  EXPECT_EQ(leaves_->made, 0);
}

TEST_F(Inspected, WithoutACaWhatNeedsInspectionIsRefused) {
  context_.inspection.reset();
  TlsPeer client = agent();
  EXPECT_FALSE(client.connect("api.test"));
  EXPECT_EQ(TlsPeer::error(), "tlsv1 alert access denied");
  EXPECT_EQ(records(1).at(0).reason, "inspection_needed");
  EXPECT_FALSE(was_dialled("127.0.0.2", 443));
}

// A session of one name is worth nothing for another, in either version.
TEST_F(Inspected, TicketsDoNotCarryAcrossNames) {
  for (SSL_CTX* context : {trusting_.get(), trusting_12_.get()}) {
    const auto session_of = [&](const std::string& name, const std::string& address, SSL_SESSION* offered) {
      TlsPeer client = agent(context, address);
      if (offered != nullptr) SSL_set_session(client.ssl(), offered);
      auto up = std::async(std::launch::async, [&] { return client.connect(name); });
      TlsPeer server = tls_origin(sound_.get(), address);
      EXPECT_TRUE(server.accept());
      EXPECT_TRUE(up.get()) << name << ": " << TlsPeer::error();
      const bool reused = SSL_session_reused(client.ssl()) == 1;
      client.send(wire("GET /ok/ HTTP/1.1|Host: " + name + "|Connection: close||"));
      EXPECT_THAT(server.head(), HasSubstr("Host: " + name));
      server.send(wire("HTTP/1.1 200 OK|Content-Length: 2|Connection: close||ok"));
      EXPECT_THAT(client.rest(), StartsWith("HTTP/1.1 200"));
      return std::pair(client.session(), reused);
    };
    auto first = session_of("api.test", "127.0.0.2", nullptr);
    EXPECT_FALSE(first.second);
    EXPECT_FALSE(session_of("other.test", "127.0.0.3", first.first.get()).second);
    auto again = session_of("api.test", "127.0.0.2", first.first.get());
    EXPECT_TRUE(again.second) << "the control: the same name resumes";
  }
}

TEST_F(Inspected, OriginsAreResumed) {
  for (int i = 0; i < 2; ++i) {
    auto ends = connected();
    EXPECT_EQ(SSL_session_reused(ends.origin.ssl()), i);
    ends.agent.send(wire("GET /ok/ HTTP/1.1|Host: api.test||"));
    ends.origin.head();
    ends.origin.send(wire("HTTP/1.1 200 OK|Content-Length: 2||ok"));
    EXPECT_THAT(ends.agent.message(), StartsWith("HTTP/1.1 200"));
  }
}

TEST_F(Inspected, AnEndThatTlsDidNotAnnounceIsNotMadeToLookLikeOne) {
  const std::string answer = wire("HTTP/1.1 200 OK|Connection: close||some");
  for (const bool announced : {true, false}) {
    auto ends = connected();
    ends.agent.send(wire("GET /ok/ HTTP/1.1|Host: api.test||"));
    ends.origin.head();
    ends.origin.send(answer);
    if (announced) ends.origin.finish();
    ends.origin.cut();
    EXPECT_EQ(ends.agent.rest(), answer + (announced ? "" : "<cut>"));
  }
}

TEST_F(Inspected, BodiesPassBothWays) {
  auto ends = connected();
  const std::string body(3'000'000, 'b');
  auto sent = std::async(std::launch::async, [&] {
    return ends.agent.send(wire("PUT /ok/ HTTP/1.1|Host: api.test|Expect: 100-continue|Content-Length: 3000000||")) &&
           ends.agent.head() == wire("HTTP/1.1 100 Continue||") && ends.agent.send(body);
  });
  EXPECT_THAT(ends.origin.head(), HasSubstr("Expect: 100-continue"));
  ends.origin.send(wire("HTTP/1.1 100 Continue||"));
  EXPECT_TRUE(ends.origin.exactly(body.size()) == body);
  EXPECT_TRUE(sent.get());
  auto answered = std::async(std::launch::async, [&] {
    return ends.origin.send(wire("HTTP/1.1 200 OK|Content-Length: 3000000||")) && ends.origin.send(body);
  });
  EXPECT_TRUE(ends.agent.message().ends_with(body));
  EXPECT_TRUE(answered.get());
}

TEST_F(Inspected, WebSocketsPass) {
  auto ends = connected();
  ends.agent.send(
      wire("GET /ok/ws HTTP/1.1|Host: api.test|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Version: 13|"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==||"));
  ends.origin.head();
  ends.origin.send(
      wire("HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket|"
           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=||early"));
  EXPECT_THAT(ends.agent.head(), StartsWith("HTTP/1.1 101"));
  EXPECT_EQ(ends.agent.exactly(5), "early");
  ends.agent.send("up");
  EXPECT_EQ(ends.origin.exactly(2), "up");
  ends.origin.send("down");
  EXPECT_EQ(ends.agent.exactly(4), "down");
  ends.origin.finish();
  EXPECT_EQ(ends.agent.rest(), "") << "an orderly end stays one";
}

TEST_F(Inspected, AReloadEndsConnectionsThatItDenies) {
  auto ends = connected();
  ends.agent.send(wire("GET /ok/ HTTP/1.1|Host: api.test||"));
  ends.origin.head();
  reload("domains: [other.test]");
  EXPECT_THAT(ends.agent.rest(), Not(HasSubstr("HTTP/1.1 200")));
}

TEST_F(Inspected, AConnectionOfAnotherPolicyIsNotReused) {
  auto ends = connected();
  const auto ask = [&](TlsPeer& origin) {
    EXPECT_THAT(origin.head(), StartsWith("GET /ok/ "));
    origin.send(wire("HTTP/1.1 200 OK|Content-Length: 2||ok"));
    EXPECT_THAT(ends.agent.message(), StartsWith("HTTP/1.1 200"));
  };
  ends.agent.send(wire("GET /ok/ HTTP/1.1|Host: api.test||"));
  ask(ends.origin);
  reload(std::string(kInspectedPolicy) + "  - another.test\n");
  ends.agent.send(wire("GET /ok/ HTTP/1.1|Host: api.test||"));
  TlsPeer fresh = tls_origin(sound_.get());
  EXPECT_TRUE(fresh.accept());
  ask(fresh);
}

TEST_F(Inspected, ObserveLetsRequestsPassAndLogsThem) {
  use(std::string("mode: observe\n") + kInspectedPolicy);
  auto ends = connected();
  ends.agent.send(wire("GET /no HTTP/1.1|Host: api.test||"));
  EXPECT_THAT(ends.origin.head(), StartsWith("GET /no "));
  ends.origin.send(wire("HTTP/1.1 200 OK|Content-Length: 2||ok"));
  EXPECT_THAT(ends.agent.message(), StartsWith("HTTP/1.1 200"));
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "no_rule_matched");
}

// Headers that the policy sets, from a secret that the client never sees.
class InspectedWithSecrets : public Inspected {
 protected:
  InspectedWithSecrets() {
    use(kSettingPolicy);
    context_.secrets = &store_;
    write("s3cr3t\n");
  }
  ~InspectedWithSecrets() override { std::filesystem::remove_all(directory_); }

  void write(std::string_view value) const {
    const auto file = directory_ / "token";
    std::ofstream(file) << value;
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  void remove() const { std::filesystem::remove(directory_ / "token"); }

  static std::filesystem::path make_directory() {
    std::string name = std::filesystem::temp_directory_path() / "secrets-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    return name;
  }

  static constexpr const char* kSettingPolicy = R"(
domains:
  - host: api.test
    addresses: [127.0.0.0/8]
    rules:
      - path: {prefix: /ok/}
        transform: {request: {headers: {Authorization: {secret: token, transform: {type: bearer}}}}}
      - path: {prefix: /replace/}
        transform:
          request:
            headers: {X-Key: {secret: token, transform: {type: raw}}}
            on_existing_header: replace
      - {schemes: [https], path: {prefix: /free/}}
)";
  std::filesystem::path directory_ = make_directory();
  secrets::SecretStore store_{directory_};
};

TEST_F(InspectedWithSecrets, TheOriginGetsTheHeaderOnWhatItsRuleAdmitsAndTheLogDoesNot) {
  auto ends = connected();
  ends.agent.send(wire("POST /ok/a HTTP/1.1|hOST: api.test|Content-Length: 4||body"));
  EXPECT_EQ(ends.origin.head(),
            wire("POST /ok/a HTTP/1.1|hOST: api.test|Content-Length: 4|Authorization: Bearer s3cr3t||"));
  ends.origin.send(wire("HTTP/1.1 200 OK|Content-Length: 3||yes"));
  EXPECT_THAT(ends.agent.message(), Not(HasSubstr("s3cr3t")));

  ends.agent.send(wire("GET /free/a HTTP/1.1|Host: api.test|Authorization: mine||"));
  const std::string free = ends.origin.head();
  EXPECT_THAT(free, AllOf(HasSubstr("Authorization: mine"), Not(HasSubstr("s3cr3t")))) << "another rule, without it";
  ends.origin.send(wire("HTTP/1.1 200 OK|Content-Length: 3||yes"));
  EXPECT_THAT(ends.agent.message(), StartsWith("HTTP/1.1 200"));

  write("other");
  ends.agent.send(wire("GET /ok/b HTTP/1.1|Host: api.test||"));
  EXPECT_THAT(ends.origin.head(), HasSubstr("Authorization: Bearer other\r\n")) << "read for each request";
  for (const auto& record : records(2)) {
    for (const std::string_view text : {std::string_view(record.detail), std::string_view(record.path)}) {
      EXPECT_THAT(std::string(text), Not(HasSubstr("s3cr3t")));
    }
  }
}

TEST_F(InspectedWithSecrets, ARequestWithSuchAHeaderIsRefusedOrLosesIt) {
  auto ends = connected();
  ends.agent.send(wire("GET /ok/a HTTP/1.1|Host: api.test|authorization: mine||"));
  const std::string page = ends.agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: header_not_permitted\r\n"));
  EXPECT_THAT(page, HasSubstr("The gateway sets Authorization on this request; requests may not set"));
  EXPECT_THAT(page, Not(HasSubstr("mine")));
  ends.agent.send(wire("GET /replace/a HTTP/1.1|Host: api.test|x_key: mine|X-KEY: mine|A: b||"));
  EXPECT_EQ(ends.origin.head(), wire("GET /replace/a HTTP/1.1|Host: api.test|A: b|X-Key: s3cr3t||"))
      << "and what was refused did not reach it";
}

TEST_F(InspectedWithSecrets, WithoutItsSecretNothingIsSent) {
  auto ends = connected();
  remove();
  ends.agent.send(wire("GET /ok/a HTTP/1.1|Host: api.test||"));
  const std::string page = ends.agent.message();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Secret not readable: "));
  EXPECT_THAT(page, HasSubstr("X-Soleroute-Reason: secret_unavailable\r\n"));
  EXPECT_THAT(page, HasSubstr("token")) << "the ID";
  write("two\nlines");
  ends.agent.send(wire("GET /ok/a HTTP/1.1|Host: api.test||"));
  EXPECT_THAT(ends.agent.message(), AllOf(StartsWith("HTTP/1.1 502"), Not(HasSubstr("lines"))));
  write("s3cr3t");
  ends.agent.send(wire("GET /ok/c HTTP/1.1|Host: api.test||"));
  EXPECT_THAT(ends.origin.head(), StartsWith("GET /ok/c ")) << "the first that it hears of";
  const auto seen = records(2);
  ASSERT_GE(seen.size(), 2u);
  EXPECT_EQ(seen[0].reason, "secret_unavailable");
  EXPECT_EQ(seen[0].status, 502);
  EXPECT_FALSE(seen[0].allowed);
  EXPECT_EQ(seen[0].detail, "secret token: no such file in the secrets directory");
}

}  // namespace
}  // namespace soleroute::gateway::http::h1
