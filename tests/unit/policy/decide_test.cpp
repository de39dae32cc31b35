// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

TEST(Decide, AllowsAListedHostInEveryPhase) {
  const auto policy = compile("domains:\n  - allowed.test\n");
  for (const auto& facts : {dns("allowed.test"), tls("allowed.test"), http("allowed.test"), https("allowed.test"),
                            connect("allowed.test")}) {
    const auto decision = policy->decide(facts);
    EXPECT_TRUE(decision.allowed()) << to_string(facts.phase);
    EXPECT_EQ(decision.reason, Reason::kAllowed) << to_string(facts.phase);
    EXPECT_EQ(decision.matched_host, "allowed.test");
    EXPECT_EQ(decision.rule.file, "policy.yaml");
    EXPECT_EQ(decision.rule.line, 2);
    EXPECT_EQ(decision.treatment, Treatment::kPassThrough);
    EXPECT_FALSE(decision.request_rules_pending);
  }
}

TEST(Decide, DeniesEveryPhaseOfAHostThatIsNotListed) {
  const auto policy = compile("domains:\n  - allowed.test\n");
  for (const auto& facts :
       {dns("denied.test"), tls("denied.test"), http("denied.test"), https("denied.test"), connect("denied.test")}) {
    const auto decision = policy->decide(facts);
    EXPECT_FALSE(decision.allowed());
    EXPECT_EQ(decision.reason, Reason::kHostNotAllowed);
    EXPECT_EQ(decision.rule.line, 0);
  }
}

TEST(Decide, DeniesEverythingWithoutAPolicy) {
  for (const auto& policy : {*Policy::compile({}), compile(""), compile("# nothing yet\n"), compile("domains:\n")}) {
    EXPECT_TRUE(policy->denies_everything());
    EXPECT_FALSE(policy->decide(dns("allowed.test")).allowed());
    EXPECT_FALSE(policy->decide(tls("allowed.test")).allowed());
    EXPECT_FALSE(policy->decide(packet("192.0.2.1", 22)).allowed());
  }
}

// T071
TEST(Decide, DeniesAnEncryptedHelloInsideOnlyWhereItIsToldToAndNobodyLooksInside) {
  const std::string hosts = "domains:\n  - allowed.test\n  - host: inspected.test\n    tls: inspect\n";
  const auto with_ech = [](std::string_view host) {
    auto facts = tls(host);
    facts.encrypted_client_hello = true;
    return facts;
  };
  for (const std::string_view mode : {"", "ech: pass\n"}) {
    EXPECT_TRUE(compile(hosts + std::string(mode))->decide(with_ech("allowed.test")).allowed()) << mode;
  }
  const auto policy = compile(hosts + "ech: deny\n");
  const auto refused = policy->decide(with_ech("allowed.test"));
  EXPECT_FALSE(refused.allowed());
  EXPECT_EQ(refused.reason, Reason::kEchNotPermitted);
  EXPECT_EQ(refused.matched_host, "allowed.test");
  EXPECT_TRUE(policy->decide(tls("allowed.test")).allowed()) << "the control: an ordinary hello";
  EXPECT_TRUE(policy->decide(with_ech("inspected.test")).allowed()) << "TLS ends here, and nobody opens the inner one";
  EXPECT_EQ(policy->decide(with_ech("denied.test")).reason, Reason::kHostNotAllowed);
}

TEST(Decide, MatchesWholeLabelsOnly) {
  const auto policy = compile("domains: [allowed.test, \"*.wild.test\"]");
  struct Row {
    std::string_view host;
    bool allowed;
    std::string_view why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"allowed.test", true, "the host itself"},
           {"a.b.wild.test", true, "any depth below a wildcard"},
           {"a.wild.test", true, "one label below a wildcard"},
           {"wild.test", true, "the wildcard's own name"},
           {"notallowed.test", false, "the name is only a suffix"},
           {"xallowed.test", false, "the name is only a suffix"},
           {"allowed.test.evil.test", false, "the name is only a prefix"},
           {"allowedxtest", false, "a dot is a dot"},
           {"allowed.testx", false, "the name is only a prefix"},
           {"sub.allowed.test", false, "a bare name has nothing below it"},
           {"awild.test", false, "a wildcard ends at a label"},
           {"wild.test.evil.test", false, "a wildcard is a suffix"},
       }) {
    EXPECT_EQ(policy->decide(tls(row.host)).allowed(), row.allowed) << row.host << ": " << row.why;
    EXPECT_EQ(policy->decide(dns(row.host)).allowed(), row.allowed) << row.host << ": " << row.why;
  }
}

TEST(Decide, AsksOnlyTheMostSpecificRecord) {
  const auto policy = compile(R"(domains:
  - "*.example.test"
  - host: "*.deep.example.test"
    rules: [{schemes: [http]}]
  - host: exact.deep.example.test
    rules: [{schemes: [https]}]
)");
  EXPECT_TRUE(policy->decide(tls("a.example.test")).allowed());
  EXPECT_EQ(reason(*policy, tls("a.deep.example.test")), "https_not_permitted");
  EXPECT_EQ(policy->decide(tls("a.deep.example.test")).matched_host, "*.deep.example.test");
  EXPECT_EQ(reason(*policy, http("exact.deep.example.test")), "scheme_not_permitted");
  EXPECT_TRUE(policy->decide(tls("exact.deep.example.test")).allowed());
  EXPECT_EQ(policy->decide(tls("exact.deep.example.test")).rule.line, 6);
}

TEST(Decide, DeniesWhenSniAndHostDisagree) {
  const auto policy = compile("domains: [a.test, b.test]");
  auto facts = https("a.test");
  facts.sni = name("b.test");
  EXPECT_EQ(reason(*policy, facts), "name_mismatch");
  facts.phase = Phase::kTls;
  EXPECT_EQ(reason(*policy, facts), "name_mismatch");
  facts.sni = name("a.test");
  EXPECT_TRUE(policy->decide(facts).allowed());
}

TEST(Decide, DeniesAbsentNames) {
  const auto policy = compile("domains: [allowed.test]");
  EXPECT_EQ(reason(*policy, {.phase = Phase::kDns}), "invalid_name");
  EXPECT_EQ(reason(*policy, {.phase = Phase::kTls, .port = 443}), "no_sni");
  EXPECT_EQ(reason(*policy, {.phase = Phase::kTls, .host = name("allowed.test"), .port = 443}), "no_sni");
  EXPECT_EQ(reason(*policy, {.phase = Phase::kHttp, .port = 80, .scheme = Scheme::kHttp}), "invalid_name");
  EXPECT_EQ(reason(*policy, {.phase = Phase::kConnect, .port = 443}), "invalid_name");
}

TEST(Decide, LeavesOtherPortsToEndpoints) {
  const auto policy = compile(R"(domains: [allowed.test]
endpoints:
  - {host: db.test, port: 5432}
)");
  EXPECT_EQ(reason(*policy, tls("allowed.test", 8443)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, tls("allowed.test", 0)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, connect("allowed.test", 22)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, connect("allowed.test", 80)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, connect("db.test", 5432)), "endpoint_allowed");
  EXPECT_EQ(reason(*policy, tls("db.test", 5432)), "endpoint_allowed");
  EXPECT_EQ(reason(*policy, tls("db.test")), "host_not_allowed");
  EXPECT_EQ(reason(*policy, dns("db.test")), "endpoint_allowed");
}

TEST(Decide, InspectsHttpsWhereRulesLookInside) {
  const auto policy = compile(R"(domains:
  - host: api.test
    rules: [{schemes: [https], methods: [GET]}]
  - host: watched.test
    tls: inspect
  - host: mixed.test
    rules: [{schemes: [https], methods: [GET]}, {schemes: [https]}]
  - host: plain.test
    rules: [{schemes: [http], methods: [GET]}]
    tls: passthrough
)");
  const auto is_inspected = [&](const FlowFacts& facts) {
    const auto decision = policy->decide(facts);
    return decision.allowed() && decision.treatment == Treatment::kInspect;
  };
  EXPECT_TRUE(is_inspected(tls("api.test")));
  EXPECT_TRUE(policy->decide(tls("api.test")).request_rules_pending);
  EXPECT_TRUE(is_inspected(connect("api.test")));
  EXPECT_TRUE(is_inspected(https("api.test", "GET")));
  EXPECT_EQ(reason(*policy, https("api.test", "GET")), "request_rule_matched");
  EXPECT_EQ(reason(*policy, https("api.test", "POST")), "no_rule_matched");
  EXPECT_TRUE(is_inspected(tls("watched.test")));
  EXPECT_EQ(reason(*policy, https("watched.test", "POST")), "host_allowed");
  EXPECT_FALSE(is_inspected(tls("mixed.test")));
  EXPECT_TRUE(policy->decide(http("watched.test")).allowed());
  EXPECT_TRUE(policy->decide(tls("mixed.test")).allowed()) << "one rule admits all of https";
  EXPECT_EQ(reason(*policy, tls("plain.test")), "https_not_permitted");
}

TEST(Decide, DecidesPlainHttpByRules) {
  const auto policy = compile(R"(domains:
  - host: api.test
    rules:
      - methods: [get, HEAD]
        path: {prefix: /v1/}
      - methods: [POST]
        path: {exact: /v2/items}
        query: {exact: {tag: [one, two], ref: docs}}
      - path: {exact: /none}
        query: {exact: {}}
)");
  struct Row {
    std::string_view method, target;
    bool allowed;
    std::string_view why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"GET", "/v1/", true, "the prefix itself"},
           {"HEAD", "/v1/a?b=c", true, "queries are free where no rule speaks of them"},
           {"GET", "/v1", false, "the prefix ends with a slash"},
           {"GET", "/v10/", false, "not below the prefix"},
           {"get", "/v1/", false, "methods are case-sensitive (RFC 9110 section 9.1)"},
           {"POST", "/v1/", false, "another method"},
           {"GET", "/V1/", false, "paths keep their case"},
           {"GET", "/v1/%7euser", true, "an equivalent spelling"},
           {"GET", "/%761/x", true, "an equivalent spelling of the prefix"},
           {"GET", "/v1/../other", false, "a dot segment"},
           {"GET", "/v1/%2e%2E/other", false, "an encoded dot segment"},
           {"GET", "/v1/..%2fother", false, "a dot segment before an encoded slash"},
           {"GET", "/v1/%252e%252e/other", false, "a doubly encoded dot segment"},
           {"GET", "/v1/..;/other", false, "a dot segment with a path parameter"},
           {"GET", "/v1/..\\other", false, "a backslash"},
           {"GET", "/v1%2f", false, "an encoded slash is not a slash"},
           {"GET", "/v1/a%2fb", true, "an encoded slash below the prefix stays below it"},
           {"GET", "/v1/%00", false, "a NUL"},
           {"GET", "/v1/%zz", false, "an ill-formed escape"},
           {"GET", "/v1/%c0%ae%c0%ae/x", false, "overlong UTF-8"},
           {"GET", "http://api.test/v1/", false, "not origin-form"},
           {"POST", "/v2/items?ref=docs&tag=two&tag=one", true, "any order"},
           {"POST", "/v2/items?tag=one&ref=docs&tag=tw%6f", true, "decoded"},
           {"POST", "/v2/items?tag=one&ref=docs", false, "a value is missing"},
           {"POST", "/v2/items?tag=one&tag=two&ref=docs&x=", false, "one parameter more"},
           {"POST", "/v2/items?tag=one&tag=two&tag=two&ref=docs", false, "a value twice"},
           {"POST", "/v2/items", false, "no query"},
           {"PUT", "/none", true, "no query, any method"},
           {"PUT", "/none?", true, "an empty query is none"},
           {"PUT", "/none?a", false, "a query"},
       }) {
    const auto decision = policy->decide(http("api.test", row.method, row.target));
    EXPECT_EQ(decision.allowed(), row.allowed) << row.method << " " << row.target << ": " << row.why;
    EXPECT_EQ(decision.reason, row.allowed ? Reason::kRequestRuleMatched : Reason::kNoRuleMatched) << row.target;
  }
}

TEST(Decide, SaysThatTheRequestIsStillToBeDecided) {
  const auto policy = compile("domains: [{host: api.test, rules: [{methods: [GET], path: {prefix: /v1/}}]}]");
  auto facts = http("api.test");
  facts.method.reset();
  facts.target.reset();
  EXPECT_TRUE(policy->decide(facts).allowed());
  EXPECT_TRUE(policy->decide(facts).request_rules_pending);
  EXPECT_TRUE(policy->decide(dns("api.test")).request_rules_pending);
  facts.method = "POST";
  EXPECT_FALSE(policy->decide(facts).allowed());
}

TEST(Decide, DecidesEndpointsByAddressPortAndProtocol) {
  const auto policy = compile(R"(endpoints:
  - {cidr: 192.0.2.0/28, ports: [8001, 8000]}
  - {cidr: "2001:db8::/32", port: 123, protocol: udp}
)");
  EXPECT_EQ(reason(*policy, packet("192.0.2.1", 8000)), "endpoint_allowed");
  EXPECT_EQ(policy->decide(packet("192.0.2.1", 8001)).matched_host, "192.0.2.0/28");
  EXPECT_EQ(policy->decide(packet("192.0.2.1", 8001)).rule.line, 2);
  EXPECT_EQ(reason(*policy, packet("::ffff:192.0.2.1", 8000)), "endpoint_allowed");
  EXPECT_EQ(reason(*policy, packet("192.0.2.16", 8000)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, packet("192.0.2.1", 8002)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, packet("192.0.2.1", 8000, Transport::kUdp)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, packet("2001:db8::1", 123, Transport::kUdp)), "endpoint_allowed");
  EXPECT_EQ(policy->decide(packet("2001:db8::1", 123, Transport::kUdp)).rule.line, 3);
  EXPECT_EQ(reason(*policy, packet("2001:db8::1", 123)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, packet("192.0.2.1", 8000, Transport::kIcmp)), "endpoint_not_allowed");
  EXPECT_EQ(reason(*policy, packet("192.0.2.1", 443, Transport::kUdp)), "quic_refused");
}

TEST(Decide, ResolvesANameOfAnyTransport) {
  const auto policy = compile(R"(endpoints:
  - {host: only.test, port: 5000, protocol: udp}
  - {host: both.test, port: 5000, protocol: udp}
  - {host: both.test, port: 5000}
)");
  EXPECT_TRUE(policy->decide(dns("only.test")).allowed());
  EXPECT_EQ(reason(*policy, dns("other.test")), "host_not_allowed");
  EXPECT_TRUE(policy->decide(dns("both.test")).allowed());
  EXPECT_EQ(policy->decide(dns("both.test")).rule.line, 3);
}

TEST(Decide, DecidesEndpointsByTheNameThatLedThere) {
  const auto policy = compile(R"(endpoints:
  - {host: db.test, port: 5432}
  - {host: internal.test, port: 22, addresses: [10.1.0.0/16]}
)");
  const std::vector<base::HostName> db{name("other.test"), name("db.test")};
  const std::vector<base::HostName> internal{name("internal.test")};
  auto facts = packet("45.33.32.10", 5432);
  EXPECT_EQ(reason(*policy, facts), "endpoint_not_allowed") << "no name led there";
  facts.resolved_names = db;
  EXPECT_EQ(reason(*policy, facts), "endpoint_allowed");
  facts.original_destination->address = address("127.0.0.1");
  EXPECT_EQ(reason(*policy, facts), "private_address") << "a name that was rebound";
  auto ssh = packet("10.1.2.3", 22);
  ssh.resolved_names = internal;
  EXPECT_EQ(reason(*policy, ssh), "endpoint_allowed");
  ssh.original_destination->address = address("10.2.2.3");
  EXPECT_EQ(reason(*policy, ssh), "private_address");
}

// What `gateway explain http://45.33.32.1/` says too.
TEST(Decide, SaysThatNoEndpointIsAboutAnAddressThatARequestNames) {
  const auto policy = compile("domains: [allowed.test]\nendpoints: [{cidr: 192.0.2.7, ports: [80]}]");
  FlowFacts facts{.phase = Phase::kHttp,
                  .original_destination = base::Endpoint{address("45.33.32.1"), 80},
                  .host_address = address("45.33.32.1"),
                  .port = 80,
                  .scheme = Scheme::kHttp,
                  .method = "GET",
                  .target = "/"};
  EXPECT_EQ(reason(*policy, facts), "endpoint_not_allowed");
  EXPECT_EQ(how_to_allow(*policy, facts, policy->decide(facts)), "endpoints:\n  - {cidr: 45.33.32.1/32, port: 80}\n");
  EXPECT_EQ(refusal_page(*policy, facts, policy->decide(facts)).substr(0, 37), "Blocked by proxy policy: 45.33.32.1 (");
  auto explained = packet("45.33.32.1", 80);
  EXPECT_EQ(how_to_allow(*policy, facts, policy->decide(facts)),
            how_to_allow(*policy, explained, policy->decide(explained)));

  auto other = facts;
  other.original_destination->address = address("45.33.32.2");
  EXPECT_EQ(reason(*policy, other), "invalid_name") << "an endpoint speaks about where the connection goes";
  auto unaddressed = facts;
  unaddressed.original_destination.reset();
  EXPECT_EQ(reason(*policy, unaddressed), "invalid_name");
  auto malformed = facts;
  malformed.host_address.reset();
  EXPECT_EQ(reason(*policy, malformed), "invalid_name") << "a name that is none, on a connection to an address";
  auto inspected = facts;
  inspected.sni = name("allowed.test");
  EXPECT_EQ(reason(*policy, inspected), "invalid_name") << "TLS has named a host";
  auto listed = facts;
  listed.host_address = address("::ffff:192.0.2.7");
  listed.original_destination->address = address("192.0.2.7");
  EXPECT_EQ(reason(*policy, listed), "invalid_name") << "endpoints take their connections before: this opens nothing";
}

TEST(Decide, AllowsConnectToAListedAddressOnly) {
  const auto policy = compile("endpoints: [{cidr: 192.0.2.7, port: 8000}]");
  auto facts = packet("192.0.2.7", 8000);
  facts.phase = Phase::kConnect;
  EXPECT_EQ(reason(*policy, facts), "endpoint_allowed");
  facts.port = 8001;
  EXPECT_EQ(reason(*policy, facts), "invalid_name");
  facts.port = facts.original_destination->port = 8001;
  EXPECT_EQ(reason(*policy, facts), "endpoint_not_allowed");
}

TEST(Decide, HandsOutThePermittedAddressesOfTheWinningEntry) {
  const auto policy = compile(R"(domains:
  - {host: a.test, addresses: [10.0.0.0/8, 127.0.0.1]}
  - b.test
endpoints:
  - {host: a.test, port: 5432, addresses: [192.168.0.0/16]}
)");
  EXPECT_EQ(policy->decide(tls("a.test")).permitted_addresses.size(), 2u);
  EXPECT_EQ(policy->decide(dns("a.test")).permitted_addresses.size(), 3u);
  EXPECT_EQ(policy->decide(connect("a.test", 5432)).permitted_addresses.size(), 1u);
  EXPECT_TRUE(policy->decide(tls("b.test")).permitted_addresses.empty());
}

TEST(Decide, ReadOnlyGithubFetchesAndDoesNotPush) {
  const auto policy = compile("services: [{name: github, readonly: true}]");
  EXPECT_EQ(reason(*policy, https("github.com", "GET", "/o/r/info/refs?service=git-upload-pack")),
            "request_rule_matched");
  EXPECT_EQ(reason(*policy, https("github.com", "POST", "/o/r.git/git-upload-pack")), "request_rule_matched");
  EXPECT_EQ(reason(*policy, https("github.com", "POST", "/o/r.git/git-receive-pack")), "no_rule_matched");
  EXPECT_EQ(reason(*policy, https("github.com", "POST", "/git-upload-pack")), "no_rule_matched");
  EXPECT_EQ(reason(*policy, https("github.com", "POST", "/a/b/c/git-upload-pack")), "no_rule_matched");
  EXPECT_EQ(reason(*policy, https("api.github.com", "POST", "/o/r/git-upload-pack")), "no_rule_matched");
  EXPECT_TRUE(policy->decide(http("api.github.com", "GET", "/repos/o/r")).allowed());
  EXPECT_FALSE(policy->decide(http("api.github.com", "DELETE", "/repos/o/r")).allowed());
  EXPECT_EQ(policy->decide(tls("github.com")).treatment, Treatment::kInspect);
}

TEST(Decide, ObserveModeChangesNoDecision) {
  const auto policy = compile("mode: observe");
  EXPECT_EQ(policy->mode(), Mode::kObserve);
  EXPECT_FALSE(policy->decide(tls("denied.test")).allowed());
}

// T182
TEST(Decide, AdmitsNoRequestWhoseHeaderNamesAnotherMethodOrPathThanItsRule) {
  const auto policy = compile(
      "domains:\n"
      "  - host: api.test\n"
      "    rules:\n"
      "      - {methods: [POST], path: {prefix: /v1/}}\n"
      "      - {methods: [GET]}\n"
      "      - {path: {prefix: /any/}}\n"
      "  - open.test\n");
  struct Row {
    std::string_view host, method, target, header;
    Reason reason;
    std::string_view why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"api.test", "POST", "/v1/x", "Accept", Reason::kRequestRuleMatched, "an ordinary header"},
           {"api.test", "POST", "/v1/x", "X-Original-URL", Reason::kOverrideHeader, "another path"},
           {"api.test", "POST", "/v1/x", "x_original_url", Reason::kOverrideHeader, "spelled as CGI does"},
           {"api.test", "POST", "/v1/x", "X-HTTP-METHOD-OVERRIDE", Reason::kOverrideHeader, "another method"},
           {"api.test", "GET", "/v2", "X-Original-URL", Reason::kRequestRuleMatched, "a rule about methods alone"},
           {"api.test", "GET", "/v2", "X-HTTP-Method", Reason::kOverrideHeader, "which it is about"},
           {"api.test", "PUT", "/any/x", "X-HTTP-Method", Reason::kRequestRuleMatched, "a rule about paths alone"},
           {"api.test", "GET", "/any/x", "X-HTTP-Method", Reason::kRequestRuleMatched, "another rule admits it"},
           {"api.test", "MOVE", "/any/x", "Destination", Reason::kOverrideHeader, "where WebDAV moves it"},
           {"api.test", "PUT", "/any/x", "Destination", Reason::kRequestRuleMatched, "means nothing to PUT"},
           {"api.test", "POST", "/v2", "X-Original-URL", Reason::kNoRuleMatched, "no rule admits it anyway"},
           {"open.test", "POST", "/v2", "X-Original-URL", Reason::kAllowed, "no rules"},
       }) {
    auto facts = http(row.host);
    facts.method = row.method;
    facts.target = row.target;
    facts.overrides.see(row.header, row.method);
    const auto decision = policy->decide(facts);
    EXPECT_EQ(decision.reason, row.reason) << row.why;
    EXPECT_EQ(decision.allowed(), row.reason == Reason::kRequestRuleMatched || row.reason == Reason::kAllowed)
        << row.why;
    EXPECT_EQ(decision.override_header.empty(), row.reason != Reason::kOverrideHeader) << row.why;
  }
}

}  // namespace
}  // namespace soleroute::policy::testing
