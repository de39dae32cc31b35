// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_suggestion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/audit/suggestion.h"
#include "gateway/commands/doubtful_lines.h"
#include "gateway/commands/policy_change.h"
#include "tests/support/golden.h"

namespace soleroute::gateway::commands {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

audit::DecisionRecord refused(policy::Phase phase, const std::string& host, std::uint16_t port = 0) {
  audit::DecisionRecord record;
  record.phase = phase;
  record.host = host;
  record.port = port;
  record.reason = "host_not_allowed";
  if (phase == policy::Phase::kTls) record.scheme = "https";
  return record;
}

audit::DecisionRecord request(const std::string& host, const std::string& method, const std::string& path) {
  auto record = refused(policy::Phase::kHttp, host, 80);
  record.scheme = "http";
  record.method = method;
  record.path = path;
  record.reason = "no_rule_matched";
  return record;
}

PolicySuggestion suggestion_for(const std::vector<audit::DecisionRecord>& records, const std::string& policy = "") {
  Refusals refusals;
  for (const auto& record : records) refusals.add(record);
  auto suggestion = suggest(refusals, {{"policy.yaml", policy}});
  EXPECT_TRUE(suggestion.has_value()) << suggestion.error().message;
  return suggestion.value_or(PolicySuggestion{});
}

TEST(PolicySuggestion, SaysEachHostOnceHoweverItWasRefused) {
  const auto made = suggestion_for({refused(policy::Phase::kDns, "a.test"), refused(policy::Phase::kTls, "a.test", 443),
                                    refused(policy::Phase::kTls, "a.test", 443), request("a.test", "GET", "/"),
                                    refused(policy::Phase::kDns, "b.test")});
  EXPECT_EQ(made.yaml, "domains:\n  - a.test  # 3 times, GET, https\n  - b.test  # 1 time, DNS only\n");
  EXPECT_THAT(made.without, IsEmpty());
}

TEST(PolicySuggestion, AddsOnlyRequestsToAHostThatHasRules) {
  const std::string policy =
      "domains: [{host: api.test, rules: [{schemes: [http], methods: [GET], path: {prefix: /v1/}}]}]";
  const auto made = suggestion_for({request("api.test", "POST", "/v1/x"), request("api.test", "GET", "/v2/"),
                                    request("api.test", "GET", "/v1/seen")},
                                   policy);
  EXPECT_THAT(made.yaml, HasSubstr("methods: [POST]"));
  EXPECT_THAT(made.yaml, HasSubstr("/v2/"));
  EXPECT_THAT(made.yaml, Not(HasSubstr("seen"))) << "the policy of today allows it";
  const std::vector<policy::PolicySource> layers{{"policy.yaml", policy}, {"more.yaml", made.yaml}};
  const auto merged = policy::Policy::compile(layers);
  ASSERT_TRUE(merged.has_value()) << merged.error().message;
  EXPECT_TRUE(audit::is_allowed_now(request("api.test", "POST", "/v1/x"), **merged));
  EXPECT_FALSE(audit::is_allowed_now(request("api.test", "DELETE", "/v1/x"), **merged)) << "and no more";
  EXPECT_FALSE(audit::is_allowed_now(request("api.test", "POST", "/v1/y"), **merged));
}

TEST(PolicySuggestion, NamesEndpointsByTheirPorts) {
  auto packet = refused(policy::Phase::kPacket, "db.test", 5432);
  packet.destination = "45.33.32.7:5432";
  packet.detail = "tcp, looked up as db.test";
  packet.reason = "endpoint_not_allowed";
  EXPECT_THAT(suggestion_for({packet}).yaml, HasSubstr("endpoints:\n  - {host: db.test, port: 5432}  # 1 time\n"));
}

// Tailscale's addresses are of 100.64.0.0/10 too, from which denied names get theirs.
TEST(PolicySuggestion, ListsAPrivateAddressUnlessTheRecordSaysThatItIsTheGateways) {
  auto packet = refused(policy::Phase::kConnect, "db.test", 5432);
  packet.destination = "100.101.7.7:5432";
  packet.resolved = "100.101.7.7";
  packet.reason = "private_address";
  EXPECT_THAT(suggestion_for({packet}).yaml, HasSubstr("{host: db.test, port: 5432, addresses: [100.101.7.7/32]}"));
  packet.resolved = "";
  packet.phase = policy::Phase::kPacket;
  packet.reason = "endpoint_not_allowed";
  packet.detail = "tcp, looked up as db.test";
  EXPECT_THAT(suggestion_for({packet}).yaml, HasSubstr("addresses: [100.101.7.7/32]"));
  packet.detail = "tcp, this gateway";
  EXPECT_THAT(suggestion_for({packet}).yaml, HasSubstr("  - {host: db.test, port: 5432}  #")) << "a denied name's";
}

TEST(PolicySuggestion, LeavesOutAllowedNamesWithASearchDomainButNotWithAPublicSuffix) {
  auto guessed = refused(policy::Phase::kDns, "a.test.data.evil.example");
  guessed.detail = "dns type A, search domain?";
  const auto made = suggestion_for(
      {guessed, refused(policy::Phase::kDns, "a.test.co.uk"), refused(policy::Phase::kDns, "a.test.corp.example")},
      "domains: [a.test]");
  EXPECT_EQ(made.yaml, "domains:\n  - a.test.co.uk  # 1 time, DNS only\n");
  EXPECT_THAT(made.without, IsEmpty());
}

TEST(PolicySuggestion, CountsWhatNoPolicyWouldAllow) {
  auto quic = refused(policy::Phase::kPacket, "", 443);
  quic.destination = "45.33.32.7:443";
  quic.detail = "udp quic";
  quic.reason = "quic_refused";
  auto local = refused(policy::Phase::kDns, "printer.local");
  local.detail = "dns type A, special-use name";
  auto nameless = refused(policy::Phase::kTls, "", 443);
  nameless.reason = "no_sni";
  const auto made = suggestion_for({quic, local, nameless, refused(policy::Phase::kTls, "a.test", 443)});
  EXPECT_EQ(made.yaml, "domains:\n  - a.test  # 1 time, https\n");
  EXPECT_EQ(made.without.at("no_sni"), 1U);
  EXPECT_EQ(made.without.at("host_not_allowed"), 1U);
}

// Whatever the path that refused it: the lines are those of `gateway explain http://45.33.32.1/`.
TEST(PolicySuggestion, NamesAddressesThatWereAskedForAsSuch) {
  auto http = request("45.33.32.1", "GET", "/");
  http.destination = "45.33.32.1:80";
  http.reason = "endpoint_not_allowed";
  auto https = refused(policy::Phase::kTls, "", 443);
  https.destination = "45.33.32.1:443";
  https.reason = "no_sni";
  auto v6 = request("2001:4860::1", "GET", "/");
  v6.destination = "[2001:4860::1]:80";
  v6.reason = "endpoint_not_allowed";
  auto tunnel = refused(policy::Phase::kConnect, "45.33.32.1", 8000);
  tunnel.reason = "endpoint_not_allowed";
  const auto made = suggestion_for({http, http, https, v6, tunnel});
  EXPECT_EQ(made.yaml,
            "endpoints:\n  - {cidr: 45.33.32.1/32, port: 80}  # 2 times, GET\n"
            "  - {cidr: 45.33.32.1/32, port: 443}  # 1 time, https\n"
            "  - {cidr: \"2001:4860::1/128\", port: 80}  # 1 time, GET\n"
            "  - {cidr: 45.33.32.1/32, port: 8000}  # 1 time\n");
  EXPECT_THAT(made.without, IsEmpty());
  EXPECT_EQ(suggestion_for({http, https, v6, tunnel}, made.yaml).yaml, "") << "the policy of today allows it";
}

TEST(PolicySuggestion, NamesNoAddressWhereAnEndpointWouldNotHelp) {
  auto astray = request("45.33.32.1", "GET", "/");
  astray.destination = "45.33.32.2:80";
  auto proxied = request("45.33.32.1", "GET", "/through-the-proxy");
  auto inside = request("45.33.32.1", "GET", "/");
  inside.scheme = "https";
  inside.port = 443;
  inside.destination = "45.33.32.1:443";
  auto no_name = request("45_33", "GET", "/");
  no_name.destination = "45.33.32.1:80";
  for (auto* record : {&astray, &proxied, &inside, &no_name}) record->reason = "invalid_name";
  auto to_the_gateway = refused(policy::Phase::kTls, "", 443);
  to_the_gateway.destination = "10.77.0.1:443";
  to_the_gateway.reason = "no_sni";
  auto garbage = refused(policy::Phase::kTls, "", 443);
  garbage.destination = "45.33.32.1:443";
  garbage.reason = "malformed";
  const auto made = suggestion_for({astray, proxied, inside, no_name, to_the_gateway, garbage});
  EXPECT_EQ(made.yaml, "");
  EXPECT_EQ(made.without.at("invalid_name"), 4U);
}

audit::DecisionRecord packet(const std::string& destination, const std::string& host = "") {
  auto record = refused(policy::Phase::kPacket, host, base::Endpoint::parse(destination)->port);
  record.destination = destination;
  record.detail = "tcp";
  record.reason = "endpoint_not_allowed";
  return record;
}

TEST(PolicySuggestion, PutsFirstWhatWasDeniedMost) {
  auto held = refused(policy::Phase::kDns, "looked-up.test");
  held.detail = "dns type A; 7 more like it";
  const auto once = refused(policy::Phase::kTls, "once.test", 443);
  const auto often = refused(policy::Phase::kTls, "often.test", 443);
  const auto made = suggestion_for({once, often, often, held, often});
  EXPECT_EQ(made.yaml,
            "domains:\n  - looked-up.test  # 7 times, DNS only\n  - often.test  # 3 times, https\n  - once.test  # 1 "
            "time, https\n");
}

TEST(PolicySuggestion, IsAsReviewed) {
  auto redis = packet("100.65.3.4:6379", "redis.test");
  redis.detail = "tcp, this gateway";
  auto nameless = refused(policy::Phase::kTls, "", 443);
  nameless.reason = "no_sni";
  nameless.destination = "45.33.32.1:443";
  auto inside = refused(policy::Phase::kDns, "db.test");
  inside.reason = "private_address";
  inside.resolved = "10.0.0.7";
  const auto often = request("often.test", "GET", "/");
  const auto posted = request("often.test", "POST", "/x");
  const auto made =
      suggestion_for({redis, nameless, inside, often, often, posted, refused(policy::Phase::kDns, "a.test"),
                      request("api.test", "POST", "/v1/x"), refused(policy::Phase::kTls, "git.test", 443)},
                     "domains: [db.test, {host: api.test, rules: [{methods: [GET]}]}]");
  soleroute::testing::expect_golden("suggest.yaml", made.yaml);
  EXPECT_THAT(made.without, IsEmpty());
}

TEST(PolicySuggestion, NeverNamesAnAddressThatNoPolicyIsMeantToList) {
  for (const char* address :
       {"169.254.169.254:80", "169.254.1.1:22", "[fd00:ec2::254]:80", "[fd20:ce::254]:80", "[fe80::1]:22",
        "100.100.100.200:80", "168.63.129.16:80", "192.0.0.192:80", "127.0.0.1:42697", "127.8.8.8:22", "[::1]:8080",
        "0.0.0.0:22", "[::]:22", "224.0.0.251:5353", "[ff02::fb]:5353", "255.255.255.255:67",
        "[::ffff:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80"}) {
    EXPECT_EQ(suggestion_for({packet(address)}).yaml, "") << address;
    EXPECT_EQ(suggestion_for({packet(address, "named.test")}).yaml, "") << address;
    auto connection = packet(address);
    connection.phase = policy::Phase::kConnect;
    connection.detail.clear();
    EXPECT_EQ(suggestion_for({connection}).yaml, "") << address;
    auto http = request(address, "GET", "/");
    http.host = base::Endpoint::parse(address)->address.to_string();
    http.destination = address;
    http.reason = "endpoint_not_allowed";
    EXPECT_EQ(suggestion_for({http}).yaml, "") << address;
    auto rebound = refused(policy::Phase::kTls, "rebound.test", 443);
    rebound.reason = "private_address";
    rebound.destination = address;
    EXPECT_EQ(suggestion_for({rebound}, "domains: [rebound.test]").yaml, "") << address;
  }
  EXPECT_THAT(suggestion_for({packet("10.0.0.5:22")}).yaml, HasSubstr("10.0.0.5/32")) << "the control";
}

TEST(PolicySuggestion, NeverNamesTheGatewaysOwnAddress) {
  auto nameless = packet("10.77.0.2:22");
  nameless.detail = "tcp, this gateway";
  EXPECT_EQ(suggestion_for({nameless}).yaml, "");
  auto named = packet("10.77.0.2:22", "git.test");
  named.detail = "tcp, this gateway";
  EXPECT_EQ(suggestion_for({named}).yaml, "endpoints:\n  - {host: git.test, port: 22}  # 1 time\n");
}

TEST(PolicySuggestion, NamesNoAddressThatStandsForADeniedName) {
  for (const char* destination : {"100.65.3.4:6379", "[fd73:6f6c:6572:1::7]:6379"}) {
    auto record = packet(destination, "redis.test");
    record.detail = "tcp, this gateway";
    EXPECT_EQ(suggestion_for({record}).yaml, "endpoints:\n  - {host: redis.test, port: 6379}  # 1 time\n");
  }
  EXPECT_THAT(suggestion_for({packet("10.0.0.5:6379", "redis.test")}).yaml, HasSubstr("addresses: [10.0.0.5/32]"))
      << "control";
}

TEST(PolicySuggestion, LeavesOutProbesAndNamesThatAreNoHosts) {
  auto probe = refused(policy::Phase::kDns, "verify.soleroute.example");
  probe.detail = "dns type A";
  auto below = refused(policy::Phase::kTls, "x.verify.soleroute.example", 443);
  auto service = refused(policy::Phase::kDns, "_http._tcp.registry.example");
  service.detail = "dns type SRV";
  const auto made = suggestion_for({probe, below, service, refused(policy::Phase::kTls, "a.test", 443)});
  EXPECT_EQ(made.yaml, "domains:\n  - a.test  # 1 time, https\n");
}

// What only a resolver's search domains made of names that are meant.
TEST(PolicySuggestion, LeavesOutNamesThatASearchDomainMade) {
  const std::vector<audit::DecisionRecord> log{
      refused(policy::Phase::kDns, "known.test.corp.example"), refused(policy::Phase::kDns, "a.test.svc.corp.example"),
      refused(policy::Phase::kTls, "a.test", 443), refused(policy::Phase::kDns, "wiki.corp.example")};
  const auto made = suggestion_for(log, "domains: [known.test]");
  EXPECT_EQ(made.yaml, "domains:\n  - a.test  # 1 time, https\n  - wiki.corp.example  # 1 time, DNS only\n");
  EXPECT_THAT(made.without, IsEmpty());
  EXPECT_THAT(suggestion_for({log[0]}).yaml, HasSubstr("known.test.corp.example")) << "control: nothing makes it so";
}

TEST(PolicySuggestion, ListsThePrivateAddressOfAnAllowedName) {
  auto lookup = refused(policy::Phase::kDns, "db.test");
  lookup.reason = "private_address";
  lookup.resolved = "10.0.0.7";
  const std::string line = "domains:\n  - {host: db.test, addresses: [10.0.0.7/32]}  # 1 time, DNS only\n";
  EXPECT_EQ(suggestion_for({lookup}, "domains: [db.test]").yaml, line);
  EXPECT_EQ(suggestion_for({lookup}, "domains: [{host: db.test, addresses: [10.0.0.0/8]}]").yaml, "") << "listed";
  EXPECT_EQ(suggestion_for({lookup}, "endpoints: [{host: db.test, port: 5432}]").yaml,
            "endpoints:\n  - {host: db.test, port: 5432, addresses: [10.0.0.7/32]}  # 1 time, DNS only\n");
  lookup.resolved = "169.254.169.254";
  EXPECT_EQ(suggestion_for({lookup}, "domains: [db.test]").yaml, "") << "no policy is meant to list it";
}

// Without the policy that was in force, the reason alone tells that no line is missing.
TEST(PolicySuggestion, HasNoLineForAReasonThatNoneCures) {
  for (const char* reason : {"certificate_refused", "type_not_answered", "name_mismatch", "malformed", "timed_out",
                             "upstream_failed", "secret_unavailable", "header_not_permitted", "what_is_this"}) {
    auto record = refused(policy::Phase::kTls, "a.test", 443);
    record.reason = reason;
    const auto made = suggestion_for({record});
    EXPECT_EQ(made.yaml, "") << reason;
    EXPECT_EQ(made.without.at(reason), 1U);
  }
}

TEST(PolicySuggestion, NamesTheOptionalGroupOfAServiceThatThePolicyLists) {
  const auto log = refused(policy::Phase::kTls, "play.googleapis.com", 443);
  EXPECT_EQ(suggestion_for({log, log}, "services: [gemini]").yaml,
            "services:\n  - {name: gemini, optional: [telemetry]}  # 2 times, https\n");
  EXPECT_EQ(suggestion_for({log}).yaml, "domains:\n  - play.googleapis.com  # 1 time, https\n");
}

TEST(PolicySuggestion, TakesNothingFromALineThatWouldForgeYaml) {
  const auto made =
      suggestion_for({refused(policy::Phase::kTls, "a.test\n  - \"*.evil.test\"", 443),
                      request("b.test", "GET", "/\"}}\n  - evil.test"), refused(policy::Phase::kDns, "*.evil.test")});
  EXPECT_THAT(made.yaml, Not(HasSubstr("evil"))) << made.yaml;
}

PolicySuggestion careful_suggestion_for(const std::vector<audit::DecisionRecord>& records) {
  Refusals refusals;
  for (const auto& record : records) refusals.add(record);
  auto suggestion = suggest(refusals, {{"policy.yaml", ""}}, Doubtful::kLeaveOut);
  EXPECT_TRUE(suggestion.has_value()) << suggestion.error().message;
  return suggestion.value_or(PolicySuggestion{});
}

TEST(PolicySuggestion, LeavesOutWhatMayBeAWayForDataToLeave) {
  auto inside = refused(policy::Phase::kTls, "db.test", 443);
  inside.reason = "private_address";
  inside.resolved = "10.0.0.7";
  const auto made = careful_suggestion_for(
      {refused(policy::Phase::kTls, "a.test", 443), refused(policy::Phase::kTls, "dns.google", 443),
       refused(policy::Phase::kDns, "4a6f686e20446f65.evil.test"), packet("45.33.32.7:22"), inside});
  EXPECT_EQ(made.yaml, "domains:\n  - a.test  # 1 time, https\n");
  EXPECT_EQ(left_out_text(made),
            "# Left out: these may be ways for data to leave. Look at each before you add it.\n"
            "# domains:\n"
            "#   - dns.google  # 1 time, https, answers DNS over HTTPS, which looks up any name\n"
            "#   - {host: db.test, addresses: [10.0.0.7/32]}  # 1 time, https, a non-public address\n"
            "#   - 4a6f686e20446f65.evil.test  # 1 time, DNS only, the name looks like data\n"
            "# endpoints:\n"
            "#   - {cidr: 45.33.32.7/32, port: 22}  # 1 time, an address without a name\n");
  EXPECT_THAT(made.without, IsEmpty());
  auto placeholder = inside;
  placeholder.resolved = "198.18.0.7";
  EXPECT_THAT(careful_suggestion_for({placeholder}).left_out, IsEmpty()) << "the resolver's, for every name";
}

TEST(PolicySuggestion, NamesTheServiceOfAHost) {
  const auto made = careful_suggestion_for({refused(policy::Phase::kTls, "registry.npmjs.org", 443)});
  EXPECT_EQ(made.yaml, "domains:\n  - registry.npmjs.org  # 1 time, https, service npm\n");
  EXPECT_EQ(service_of("a.test"), "");
}

TEST(DoubtfulLines, TellNamesOfServersFromData) {
  for (const char* name :
       {"registry.npmjs.org", "objects.githubusercontent.com", "d111111abcdef8.cloudfront.net",
        "productionresultssa0.blob.core.windows.net", "ec2-203-0-113-25.compute-1.amazonaws.com",
        "cloudresourcemanager.googleapis.com", "xn--bcher-kva.example", "python3-11-bookworm.test"}) {
    EXPECT_FALSE(looks_random(name)) << name;
  }
  for (const char* name :
       {"4a6f686e20446f652c2070617373.evil.test", "mzxw6ytboi4gk3tuma2g64tf.evil.test",
        "3b1f0c9e-7a2d-4c5b-9f8e-1a2b3c4d5e6f.evil.test", "thisisonelabelthatismuchlongerthanpeopletype.test"}) {
    EXPECT_TRUE(looks_random(name)) << name;
  }
  EXPECT_TRUE(looks_random(std::string(60, 'a').replace(30, 1, ".") + "." + std::string(45, 'b')));
}

TEST(PolicyChange, ShowsTheLinesThatDiffer) {
  EXPECT_EQ(change_text("a\nb\n", "a\nx\nb\ny\n"), "   2 + x\n   4 + y\n");
  EXPECT_EQ(change_text("domains: [a]\r\nech: deny\r\n", "domains: [a, b]\r\nech: deny\r\n"),
            "   1 - domains: [a]\n   1 + domains: [a, b]\n");
  EXPECT_EQ(change_text("", "a\x1b[2J\n"), "   1 + a\\u{001b}[2J\n");
  EXPECT_EQ(change_text("a\n", "a\n"), "");
}

TEST(PolicySuggestion, IgnoresWhatWasAllowed) {
  auto fine = refused(policy::Phase::kTls, "a.test", 443);
  fine.allowed = true;
  EXPECT_EQ(suggestion_for({fine}).yaml, "");
}

}  // namespace
}  // namespace soleroute::gateway::commands
