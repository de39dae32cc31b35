// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "gateway/http/request_flow.h"
#include "tests/unit/http/h2_lab.h"

namespace soleroute::gateway::http {
namespace {

using policy::Reason;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Requests of one connection in clear, redirected from 45.33.32.1:80.
class RequestFlows : public h2::Http2Lab {
 protected:
  RequestFlows() {
    use("domains: [allowed.test, {host: rules.test, rules: [{methods: [GET], path: {prefix: /ok}}]}]");
    auto [far, near] = test::tcp_pair();
    far_ = std::move(far);
    connection_.stream = std::make_unique<net::TcpStream>(io_, wheel_, std::move(near));
    connection_.peer = {base::IpAddress::parse("10.0.0.9").value(), 40000};
    connection_.original_destination = {base::IpAddress::parse("45.33.32.1").value(), 80};
  }

  static AskedRequest asked(const std::string& host, std::string_view target = "/") {
    AskedRequest request{.host = base::HostName::parse(host).value(), .port = 80, .method = "GET", .target = target};
    request.host_text = "as sent";
    return request;
  }
  static std::vector<http2::Field> no_fields() { return {}; }
  [[nodiscard]] audit::DecisionRecord last() const { return log_.records().back(); }

  base::Fd far_;
  flow::ClientConnection connection_;
};

TEST_F(RequestFlows, KeepNothingOfTheRequestBefore) {
  RequestFlow flow(context_, connection_, std::nullopt, true);
  AskedRequest by_address{.host_address = base::IpAddress::parse("192.0.2.7").value(), .port = 80, .method = "GET"};
  by_address.host_text = "192.0.2.7";
  by_address.target = "/secret?q=1";
  flow.begin(std::move(by_address));
  const auto page = flow.decide();
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 403);
  flow.finish_page(100);
  EXPECT_EQ(last().host, "192.0.2.7");
  EXPECT_EQ(last().path, "/secret");
  EXPECT_EQ(last().status, 403);
  EXPECT_EQ(last().bytes_out, 100U);
  flow.await_next();

  flow.begin(asked("allowed.test"));
  EXPECT_FALSE(flow.decide());
  EXPECT_FALSE(flow.inject(no_fields()));
  EXPECT_FALSE(flow.finish({.status = 200, .from_client = 1, .to_client = 2}));
  const auto second = last();
  EXPECT_TRUE(second.allowed);
  EXPECT_EQ(second.host, "allowed.test");
  EXPECT_EQ(second.path, "/");
  EXPECT_EQ(second.detail, "");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.destination, "45.33.32.1:80");
  flow.await_next();

  flow.begin_unread();
  EXPECT_EQ(flow.fault({400, Reason::kMalformed, "more than one Host header"}).status, 400);
  flow.finish_page(0);
  EXPECT_FALSE(last().allowed);
  EXPECT_EQ(last().host, "");
  EXPECT_EQ(last().path, "");
  EXPECT_EQ(last().method, "");
  EXPECT_EQ(last().matched_host, "");
  EXPECT_FALSE(last().bytes_out);
  EXPECT_EQ(context_.counters.decisions_allowed.load(), 1U);
  EXPECT_EQ(context_.counters.decisions_denied.load(), 2U);
  EXPECT_EQ(context_.counters.http_requests.load(), 3U);
}

TEST_F(RequestFlows, ThatAReloadEndsAreNoFaultOfAnybodys) {
  RequestFlow flow(context_, connection_, std::nullopt, true);
  flow.begin(asked("allowed.test"));
  EXPECT_FALSE(flow.decide());
  EXPECT_TRUE(flow.still_allowed(*context_.in_force->policy()));
  EXPECT_FALSE(flow.still_allowed(*compiled("domains: [other.test]")));
  EXPECT_FALSE(flow.finish({.failure = Reason::kMalformed,
                            .detail = "the request body was not finished",
                            .answerable = true,
                            .revoked = true}));
  EXPECT_TRUE(last().allowed);
  EXPECT_THAT(last().detail, HasSubstr("a new policy denies it"));
  EXPECT_FALSE(last().status);
  EXPECT_EQ(context_.counters.upstream_failures.load(), 0U);
}

TEST_F(RequestFlows, AreAskedAboutAsTheyAreUntilTheNextIsAwaited) {
  RequestFlow flow(context_, connection_, std::nullopt, true);
  flow.begin(asked("rules.test", "/ok/then"));
  EXPECT_FALSE(flow.decide());
  EXPECT_FALSE(flow.finish({.status = 101}));
  const auto narrower = compiled("domains: [{host: rules.test, rules: [{methods: [GET], path: {prefix: /no}}]}]");
  EXPECT_FALSE(flow.still_allowed(*narrower)) << "a WebSocket is what the request has become";
  flow.await_next();
  EXPECT_TRUE(flow.still_allowed(*narrower)) << "of a connection that waits only the host is asked";
}

TEST_F(RequestFlows, WithoutAPublicAddressGetThePageOfARefusal) {
  RequestFlow flow(context_, connection_, std::nullopt, true);
  auto request = asked("allowed.test");
  request.form.body = BodyForm::kJson;
  flow.begin(std::move(request));
  EXPECT_FALSE(flow.decide());
  flow::DialFailure failure{Reason::kPrivateAddress, "allowed.test resolves to 10.1.2.3"};
  failure.refused_address = base::IpAddress::parse("10.1.2.3").value();
  const auto page = flow.dial_failed(failure);
  EXPECT_EQ(page.status, 502);
  EXPECT_EQ(page.content_type, "application/problem+json");
  EXPECT_THAT(page.body, HasSubstr("private_address"));
  flow.finish_page(page.size());
  EXPECT_EQ(last().reason, "private_address");
  EXPECT_EQ(last().resolved, "10.1.2.3");
  EXPECT_EQ(context_.counters.upstream_failures.load(), 1U);
  flow.await_next();

  flow.begin(asked("allowed.test"));
  EXPECT_FALSE(flow.decide());
  const auto text = flow.dial_failed(failure);
  EXPECT_THAT(text.body, StartsWith("Blocked by proxy policy: allowed.test"));
  EXPECT_THAT(text.body, HasSubstr("domains:\n  - {host: allowed.test, addresses: [10.1.2.3/32]}\n"));
  flow.finish_page(text.size());
}

TEST_F(RequestFlows, InATunnelOfTheProxyHaveNoDestination) {
  connection_.original_destination = {{}, 443};
  RequestFlow flow(context_, connection_, base::HostName::parse("allowed.test").value(), true);
  auto request = asked("allowed.test");
  request.port = 443;
  flow.begin(std::move(request));
  EXPECT_FALSE(flow.decide());
  EXPECT_FALSE(flow.finish({.status = 200}));
  EXPECT_EQ(last().destination, "");
  EXPECT_EQ(last().scheme, "https");
}

TEST_F(RequestFlows, ThatAreNoRequestOfTheirVersionAreNotObserved) {
  use("mode: observe");
  RequestFlow flow(context_, connection_, std::nullopt, true);
  flow.begin(asked("denied.test"));
  EXPECT_FALSE(flow.decide());
  EXPECT_FALSE(flow.finish({.status = 400, .failure = Reason::kMalformed, .detail = "a bad chunk"}));
  EXPECT_FALSE(last().observed);
  EXPECT_EQ(last().reason, "malformed");
  flow.await_next();
  flow.begin(asked("denied.test"));
  EXPECT_FALSE(flow.decide());
  EXPECT_FALSE(flow.finish({.status = 200}));
  EXPECT_TRUE(last().observed) << "the control";
}

}  // namespace
}  // namespace soleroute::gateway::http
