// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/decision_query.h"

#include <gtest/gtest.h>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

constexpr std::string_view kPolicy = R"(domains:
  - allowed.test
  - xn--bcher-kva.test
  - host: api.test
    rules:
      - {schemes: [https], methods: [GET], path: {prefix: /v1/}}
      - {schemes: [http], methods: [GET], path: {prefix: /v1/}}
endpoints:
  - {host: db.test, port: 5432}
  - {cidr: 192.0.2.0/28, ports: [80, 443, 8000]}
  - {cidr: "2001:db8::/32", port: 8000, protocol: udp}
)";

struct Row {
  std::string_view url, phase, reason, why;
};

TEST(DecisionQuery, IsAskedAsTheGatewayWouldAsk) {
  const auto policy = compile(kPolicy);
  for (const auto& row : std::initializer_list<Row>{
           {"https://allowed.test/", "tls", "host_allowed", "https is decided by the name"},
           {"http://allowed.test/a?b", "http", "host_allowed", "http is decided by the request"},
           {"HTTPS://ALLOWED.test./", "tls", "host_allowed", "any spelling"},
           {"https://allowed.test:443/", "tls", "host_allowed", "the default port written"},
           {"https://allowed.test:/", "tls", "host_allowed", "an empty port is the default one"},
           {"https://allowed.test?x", "tls", "host_allowed", "no path"},
           {"https://allowed.test#x", "tls", "host_allowed", "a fragment is not sent"},
           {"wss://allowed.test/socket", "tls", "host_allowed", "WebSocket is https"},
           {"https://b\xc3\xbc"
            "cher.test/",
            "tls", "host_allowed", "clients convert U-labels"},
           {"https://denied.test@allowed.test/", "tls", "host_allowed", "user information is not the host"},
           {"https://allowed.test@denied.test/", "tls", "host_not_allowed", "user information is not the host"},
           {"https://denied.test/", "tls", "host_not_allowed", "not listed"},
           {"https://allowed.test:8443/", "tls", "endpoint_not_allowed", "another port"},
           {"http://allowed.test:443/", "http", "endpoint_not_allowed", "plain HTTP on 443"},
           {"http://allowed.test:8080/", "http", "endpoint_not_allowed", "another port"},
           {"http://api.test/v1/x", "http", "request_rule_matched", "a rule"},
           {"http://api.test/v1/../x", "http", "no_rule_matched", "sent as it is written"},
           {"http://api.test/v2/x", "http", "no_rule_matched", "no rule"},
           {"https://api.test/v1/x", "http", "request_rule_matched", "the rule looks inside"},
           {"https://api.test/v2/x", "http", "no_rule_matched", "seen inside"},
           {"tcp://db.test:5432", "connect", "endpoint_allowed", "an endpoint by name"},
           {"tcp://db.test:22", "connect", "endpoint_not_allowed", "another port"},
           {"udp://db.test:5432", "connect", "endpoint_not_allowed", "another protocol"},
           {"tcp://192.0.2.1:8000", "packet", "endpoint_allowed", "an endpoint by address"},
           {"http://192.0.2.1/", "packet", "endpoint_allowed", "an address in a URL"},
           {"https://192.0.2.1/", "packet", "endpoint_allowed", "an address in a URL"},
           {"https://192.0.2.100/", "packet", "endpoint_not_allowed", "an address that is not listed"},
           {"udp://[2001:db8::1]:8000", "packet", "endpoint_allowed", "an IPv6 address"},
           {"udp://192.0.2.1:443", "packet", "quic_refused", "QUIC"},
           {"http://0xc0.0.2.1/", "connect", "invalid_name", "an address in disguise"},
           {"http://3221225985/", "connect", "invalid_name", "an address in disguise"},
           {"http://[allowed.test]/", "connect", "invalid_name", "brackets are for IPv6"},
           {"http://2001:db8::1/", "dns", "malformed", "IPv6 without brackets"},
           {"http://allowed.test%2f.evil.test/", "connect", "invalid_name", "an escape in the host"},
           {"http://allowed_test/", "http", "host_not_allowed", "an underscore is no fault"},
           {"http:///x", "connect", "invalid_name", "no host"},
           {"http://allowed.test:65536/", "dns", "malformed", "no such port"},
           {"http://allowed.test:0/", "dns", "malformed", "no such port"},
           {"http://allowed.test:+80/", "dns", "malformed", "no such port"},
           {"http://allowed.test\\@denied.test/", "dns", "malformed", "clients disagree on the host"},
           {"http://allowed.test /", "dns", "malformed", "a blank"},
           {"http://allowed.test\t.evil.test/", "dns", "malformed", "some clients drop tabs"},
           {"tcp://db.test", "dns", "malformed", "no port"},
           {"ftp://allowed.test/", "dns", "malformed", "another scheme"},
           {"allowed.test", "dns", "malformed", "no scheme"},
           {"", "connect", "invalid_name", "nothing"},
       }) {
    DecisionQuery asked;
    asked.url = row.url;
    PreparedQuery question(asked);
    const auto decision = question.ask(*policy);
    EXPECT_EQ(to_string(decision.reason), row.reason) << row.url << ": " << row.why;
    if (row.phase != "dns") {
      EXPECT_EQ(to_string(question.facts().phase), row.phase) << row.url << ": " << row.why;
    }
    EXPECT_EQ(question.ask(*policy).reason, decision.reason) << "asked twice";
  }
}

TEST(DecisionQuery, AsksTheRulesInsideHttps) {
  const auto policy = compile(kPolicy);
  DecisionQuery asked;
  asked.url = "https://api.test/v1/x?secret";
  PreparedQuery in_rules(asked);
  EXPECT_EQ(in_rules.ask(*policy).rule.line, 6);
  EXPECT_TRUE(in_rules.ask(*policy).allowed());
  EXPECT_EQ(in_rules.path(), "/v1/x");
  asked.method = "POST";
  PreparedQuery outside(asked);
  EXPECT_EQ(outside.ask(*policy).reason, Reason::kNoRuleMatched);
}

TEST(DecisionQuery, TakesAHostWithPortAndProtocol) {
  const auto policy = compile(kPolicy);
  const auto reason_of = [&](std::string host, std::uint16_t port, Transport protocol) {
    PreparedQuery question({.url = {}, .method = "GET", .host = std::move(host), .port = port, .protocol = protocol});
    return std::string(to_string(question.ask(*policy).reason));
  };
  EXPECT_EQ(reason_of("db.test", 5432, Transport::kTcp), "endpoint_allowed");
  EXPECT_EQ(reason_of("192.0.2.1", 8000, Transport::kTcp), "endpoint_allowed");
  EXPECT_EQ(reason_of("2001:db8::1", 8000, Transport::kUdp), "endpoint_allowed");
  EXPECT_EQ(reason_of("allowed.test", 443, Transport::kTcp), "host_allowed");
  EXPECT_EQ(reason_of("allowed.test", 443, Transport::kUdp), "quic_refused");
  EXPECT_EQ(reason_of("a b", 443, Transport::kTcp), "invalid_name");
}

TEST(CheckUrl, RefusesWhatNoGatewayCouldBeAskedAbout) {
  for (const std::string_view url : {"ftp://a.test/", "https://a.test:99999/", "https://a.test:0/", "tcp://a.test",
                                     "https://", "a.test", "https://a.test/ x", "https://[::1", "gopher://a"}) {
    EXPECT_FALSE(check_url(url)) << url;
  }
  for (const std::string_view url : {"https://a.test", "HTTP://a.test/", "https://a.test:8443/x?y", "tcp://a.test:22",
                                     "udp://[2001:db8::1]:53", "https://user@a.test:443/", "wss://a.test/"}) {
    EXPECT_TRUE(check_url(url)) << url;
  }
}

}  // namespace
}  // namespace soleroute::policy::testing
