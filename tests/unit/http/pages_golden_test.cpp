// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "gateway/http/internal_site.h"
#include "gateway/http/page.h"
#include "gateway/http/proxy_status.h"
#include "gateway/http/refusal_page.h"
#include "policy/policy.h"
#include "tests/support/golden.h"

namespace soleroute::gateway::http {
namespace {

using policy::Phase;
using policy::Reason;
using policy::Scheme;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kPolicy = R"(services: [{name: gemini}]
domains:
  - allowed.test
  - host: api.test
    rules: [{schemes: [https], methods: [GET], path: {prefix: /v1/}}]
  - host: plain.test
    rules: [{schemes: [http]}]
  - host: "*.wild.test"
    rules: [{schemes: [http, https], methods: [GET]}]
endpoints: [{host: db.test, port: 5432}]
)";

std::shared_ptr<const policy::Policy> compiled(std::string_view text = kPolicy) {
  const std::vector<policy::PolicySource> layers{{".devcontainer/policy.yaml", std::string(text)}};
  return policy::Policy::compile(layers).value();
}

policy::FlowFacts request(std::string_view host, Scheme scheme = Scheme::kHttps, std::string_view method = "GET") {
  policy::FlowFacts facts;
  facts.phase = Phase::kHttp;
  facts.scheme = scheme;
  facts.port = scheme == Scheme::kHttps ? 443 : 80;
  facts.host = base::HostName::parse(host).value();
  if (scheme == Scheme::kHttps) facts.sni = facts.host;
  facts.method = method;
  facts.target = "/v2/x?token=secret";
  return facts;
}

policy::FlowFacts connect(std::string_view host, std::uint16_t port) {
  policy::FlowFacts facts;
  facts.phase = Phase::kConnect;
  facts.port = port;
  facts.host = base::HostName::parse(host).value();
  return facts;
}

policy::FlowFacts to_address(std::string_view address) {
  policy::FlowFacts facts;
  facts.phase = Phase::kHttp;
  facts.scheme = Scheme::kHttp;
  facts.port = 80;
  facts.host_address = base::IpAddress::parse(address).value();
  facts.original_destination = base::Endpoint{*facts.host_address, 80};
  return facts;
}

// What the policy does not say itself: `reason`, and the address with kPrivateAddress.
struct Refused {
  std::string name;
  policy::FlowFacts facts;
  int status = 403;
  std::optional<Reason> reason{};
  std::string_view address = "10.20.0.7";
};

std::vector<Refused> all_refusals() {
  auto mismatch = request("allowed.test");
  mismatch.host = base::HostName::parse("other.test").value();
  return {
      {"host", request("denied.test")},
      {"host-optional", request("play.googleapis.com")},
      {"method-and-path", request("api.test", Scheme::kHttps, "DELETE")},
      {"wildcard-rule", request("eu.wild.test", Scheme::kHttp, "POST")},
      {"http-only", request("plain.test")},
      {"https-only", request("api.test", Scheme::kHttp)},
      {"host-mismatch", mismatch, 421},
      {"address", to_address("192.0.2.55")},
      {"connect-port", connect("denied.test", 8443)},
      {"connect-ssh", connect("allowed.test", 22)},
      {"private-address", request("allowed.test"), 502, Reason::kPrivateAddress},
      {"private-endpoint", connect("db.test", 5432), 502, Reason::kPrivateAddress},
      {"metadata-address", request("allowed.test"), 502, Reason::kPrivateAddress, "169.254.169.254"},
      {"no-ca", request("api.test"), 403, Reason::kInspectionNeeded},
      {"ech", request("allowed.test"), 403, Reason::kEchNotPermitted},
      {"certificate", request("api.test"), 403, Reason::kCertificateRefused},
      {"invalid-name", to_address("10.0.0.1"), 403, Reason::kInvalidName},
  };
}

policy::Decision decision_on(const policy::Policy& policy, const Refused& refused) {
  auto decision = policy.decide(refused.facts);
  if (!refused.reason) return decision;
  decision.action = policy::Action::kDeny;
  decision.reason = *refused.reason;
  if (*refused.reason == Reason::kPrivateAddress) {
    decision.refused_address = base::IpAddress::parse(refused.address).value();
  }
  return decision;
}

TEST(GoldenPages, AreAsReviewed) {
  const auto policy = compiled();
  for (const auto& refused : all_refusals()) {
    const auto decision = decision_on(*policy, refused);
    ASSERT_FALSE(decision.allowed()) << refused.name;
    for (const auto form : {BodyForm::kText, BodyForm::kJson}) {
      const Page page = refusal_page(*policy, refused.facts, decision, refused.status, {.body = form});
      testing::expect_golden("pages/" + refused.name + (form == BodyForm::kText ? ".txt" : ".json"),
                             render(page, false, true));
    }
  }
}

TEST(GoldenPages, OfWhatIsNotDeniedAreAsReviewed) {
  const policy::Decision none{.reason = Reason::kUpstreamFailed};
  const auto policy = compiled();
  const auto facts = request("allowed.test");
  const auto failed = [&](Reason reason, std::string message, flow::DialFault fault, BodyForm form) {
    const flow::DialFailure failure{reason, std::move(message), fault};
    return render(dial_failure_page(*policy, facts, none, "allowed.test", failure, {.body = form}), false, true);
  };
  for (const auto form : {BodyForm::kText, BodyForm::kJson}) {
    const std::string end = form == BodyForm::kText ? ".txt" : ".json";
    testing::expect_golden("pages/refused-connection" + end,
                           failed(Reason::kUpstreamFailed, "connect to 192.0.2.7:443: Connection refused",
                                  flow::DialFault::kRefused, form));
    testing::expect_golden("pages/timed-out" + end, failed(Reason::kTimedOut, "connect to 192.0.2.7:443: Timed out",
                                                           flow::DialFault::kTimedOut, form));
    testing::expect_golden("pages/no-such-name" + end, failed(Reason::kUpstreamFailed, "allowed.test has no address",
                                                              flow::DialFault::kName, form));
    testing::expect_golden("pages/bad-request" + end,
                           render(fault_page(400, Reason::kMalformed, "more than one Host header", form), false, true));
  }
}

TEST(GoldenPages, OfGatewayInternalAreAsReviewed) {
  const auto policy = compiled();
  const auto client = base::IpAddress::parse("10.0.0.9").value();
  flow::RecentDenials denials({});
  const SiteSources sources{*policy, flow::policy_pages(*policy), &denials, {}};
  const auto text_of = [&](std::string_view target) {
    const Page page = internal_site_page({"GET", target, client}, sources);
    return page.body + (page.rest ? *page.rest : "");
  };
  testing::expect_golden("pages/gateway-internal.txt", text_of("/"));
  testing::expect_golden("pages/gateway-internal-policy.txt", text_of("/policy"));
  testing::expect_golden("pages/gateway-internal-not-found.txt", text_of("/nothing"));
  audit::DecisionRecord record;
  record.phase = Phase::kHttp;
  record.reason = "host_not_allowed";
  record.client = client;
  record.host = "denied.test";
  record.scheme = "https";
  record.port = 443;
  denials.note(record);
  testing::expect_golden("pages/gateway-internal-denied.txt", text_of("/"));
}

TEST(RefusalPages, HaveAReasonPhraseThatIsBoundedAndCannotForgeALine) {
  EXPECT_EQ(reason_phrase("Blocked by policy", "a.test"), "Blocked by policy: a.test");
  EXPECT_EQ(reason_phrase("Blocked by policy", "a\r\nX: y\x7f\xc3\xa9"), "Blocked by policy: a??X: y???");
  EXPECT_EQ(reason_phrase("Blocked by policy", std::string(5000, 'a')).size(), kMostOfAPhrase);
  const Page own{403, "x", "body\n"};
  EXPECT_THAT(render(own, false, true), ::testing::StartsWith("HTTP/1.1 403 Forbidden\r\n")) << "control";
  EXPECT_THAT(render(own, false, true), Not(HasSubstr("Proxy-Status"))) << "gateway.internal has none";
}

TEST(ProxyStatus, QuotesItsDetails) {
  EXPECT_EQ(proxy_status("http_request_denied", {}), "gateway; error=http_request_denied");
  EXPECT_EQ(proxy_status("dns_error", "say \"a\\b\"\r\n"), R"(gateway; error=dns_error; details="say \"a\\b\"??")");
  EXPECT_LE(proxy_status("dns_error", std::string(100000, '"')).size(), 2 * kMostOfDetails + 64);
}

TEST(ProxyStatus, NamesTheStepInWhichADialFailed) {
  using flow::DialFault;
  const auto error = [](DialFault fault, Reason reason = Reason::kUpstreamFailed) {
    return proxy_error(flow::DialFailure{reason, {}, fault});
  };
  EXPECT_EQ(error(DialFault::kName), "dns_error");
  EXPECT_EQ(error(DialFault::kRefused), "connection_refused");
  EXPECT_EQ(error(DialFault::kCertificate), "tls_certificate_error");
  EXPECT_EQ(error(DialFault::kOther), "destination_unavailable");
  EXPECT_EQ(error(DialFault::kOther, Reason::kTimedOut), "connection_timeout");
  EXPECT_EQ(error(DialFault::kOther, Reason::kPrivateAddress), "destination_ip_prohibited");
}

TEST(AcceptedTypes, PreferJsonOnlyWhereTheClientDoes) {
  struct Case {
    std::string_view accept;
    bool json;
    std::string_view why;
  };
  for (const auto& [accept, json, why] : {
           Case{"", false, "nothing asked for"},
           Case{"*/*", false, "curl, git, cargo"},
           Case{"application/json", true, "SDKs"},
           Case{"application/problem+json", true, "RFC 9457"},
           Case{"application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", true, "npm install"},
           Case{"application/json, text/plain, */*", true, "axios: the first of equals"},
           Case{"text/html, application/json", false, "the first of equals"},
           Case{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false, "a browser"},
           Case{"text/plain;q=0.5, application/json;q=0.9", true, "quality over order"},
           Case{"application/json;q=0.3, text/html;q=0.7", false, "quality over order"},
           Case{"application/json;q=0", false, "refused"},
           Case{"application/json;q=x", false, "unreadable"},
       }) {
    AcceptedTypes types;
    types.see(accept);
    EXPECT_EQ(types.prefers_json(), json) << accept << ": " << why;
  }
}

}  // namespace
}  // namespace soleroute::gateway::http
