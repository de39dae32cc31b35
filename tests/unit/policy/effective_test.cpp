// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/effective.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kPolicy = R"(
domains:
  - plain.test
  - "*.wild.test"
  - {host: inner.test, addresses: [10.0.0.0/8]}
  - host: rules.test
    rules:
      - {schemes: [http], methods: [GET, HEAD], path: {prefix: /a/}}
      - {schemes: [http], path: {exact: /b}, query: {exact: {q: [x, y], "w": "z\"&"}}}
      - {schemes: [https]}
  - {host: seen.test, tls: inspect}
  - plain.test
  - {host: plain.test, ports: [8443, 9000-9100], rules: [{methods: [GET]}]}
  - {host: mqtt.test, alpn: [mqtt]}
endpoints:
  - {host: db.test, port: 5432, addresses: [10.0.0.0/8]}
  - {cidr: 192.0.2.0/28, ports: [8000, 8001]}
  - {host: "*.db.test", ports: 6000-6100}
)";

// JSON is YAML: what is shown can be read back, and means the same.
TEST(EffectivePolicy, IsItselfAPolicyThatDecidesTheSame) {
  const auto shown = effective_json(*compile(kPolicy));
  const auto again = try_compile({shown});
  ASSERT_TRUE(again.has_value()) << again.error().message << shown;
  EXPECT_EQ(effective_json(**again), shown);
  struct Row {
    FlowFacts facts;
    bool allowed;
  };
  for (const Row& row : {Row{http("plain.test", "GET", "/"), true}, Row{http("x.wild.test", "PUT", "/"), true},
                         Row{http("rules.test", "GET", "/a/x"), true}, Row{http("rules.test", "PUT", "/a/x"), false},
                         Row{http("rules.test", "GET", "/b?q=y&w=z%22%26&q=x"), true},
                         Row{http("rules.test", "GET", "/b?q=x"), false}, Row{http("other.test", "GET", "/"), false},
                         Row{tls("rules.test"), true}, Row{tls("plain.test"), true}, Row{tls("db.test"), false}}) {
    EXPECT_EQ(compile(kPolicy)->decide(row.facts).allowed(), row.allowed);
    EXPECT_EQ((*again)->decide(row.facts).allowed(), row.allowed);
  }
  EXPECT_EQ((*again)->endpoints().size(), 3U);
  for (const Row& row : {Row{at(http("plain.test"), 9050), true}, Row{at(http("plain.test", "PUT"), 9050), false},
                         Row{at(http("plain.test", "PUT"), 80), true}, Row{tls("plain.test", 8443), true},
                         Row{tls("plain.test", 8444), false}, Row{connect("x.db.test", 6050), true},
                         Row{connect("x.db.test", 6101), false}}) {
    EXPECT_EQ(compile(kPolicy)->decide(row.facts).allowed(), row.allowed) << row.facts.port;
    EXPECT_EQ((*again)->decide(row.facts).allowed(), row.allowed) << row.facts.port;
  }
  const auto hello = (*again)->decide(tls("mqtt.test"));
  EXPECT_THAT(hello.admitted_alpn, ElementsAre("mqtt"));
}

TEST(EffectivePolicy, KeepsWhatIsSaidOfDeniedNames) {
  EXPECT_EQ(compile("")->denied_names(), DeniedNames::kAddress);
  const auto policy = compile("domains: [plain.test]\ndenied_names: nxdomain\n");
  EXPECT_EQ(policy->denied_names(), DeniedNames::kNxdomain);
  EXPECT_THAT(effective_json(*policy), HasSubstr("\"denied_names\": \"nxdomain\""));
  EXPECT_THAT(effective_text(*policy), HasSubstr("denied_names nxdomain"));
  EXPECT_THAT(policy->describe(), HasSubstr("denied_names nxdomain"));
  const auto layers = try_compile({"denied_names: nxdomain", "denied_names: address"});
  ASSERT_TRUE(layers.has_value());
  EXPECT_EQ((*layers)->denied_names(), DeniedNames::kAddress) << "the last stated applies";
  EXPECT_FALSE(try_compile({"denied_names: refused"}).has_value());
}

TEST(EffectivePolicy, NamesNoFile) {
  EXPECT_THAT(effective_json(*compile(kPolicy)), Not(HasSubstr("policy.yaml")));
}

TEST(EffectivePolicy, DescribesWhatOnlyTheCatalogCanSay) {
  const auto json = nlohmann::json::parse(effective_json(*compile("services: [{name: github, readonly: true}]")));
  EXPECT_THAT(json.dump(), HasSubstr("\"description\""));
}

TEST(EffectivePolicy, IsReadableLineByLine) {
  const auto text = effective_text(*compile(kPolicy));
  EXPECT_THAT(text, HasSubstr("*.wild.test (wild.test and its subdomains): everything, http and https\n"));
  EXPECT_THAT(text, HasSubstr("rules.test\n    http only, GET HEAD, paths beginning with /a/\n"));
  EXPECT_THAT(text, HasSubstr("192.0.2.0/28: tcp port 8000, 8001\n"));
  EXPECT_THAT(text, Not(HasSubstr("policy.yaml")));
}

TEST(EffectivePolicy, NamesNoSecret) {
  const auto policy = compile(R"(
domains:
  - host: api.test
    transform: {request: {headers: {X-Api-Key: {secret: the.token, transform: {type: raw}}}, on_existing_header: replace}}
    rules: [{schemes: [https], methods: [GET]}]
)");
  EXPECT_THAT(effective_text(*policy), HasSubstr("the gateway adds credentials"));
  EXPECT_THAT(effective_text(*policy) + effective_json(*policy), Not(HasSubstr("the.token")));
}

TEST(EffectivePolicy, OfNothingIsEmptyAndSaysTheMode) {
  const auto json = nlohmann::json::parse(effective_json(*compile("mode: observe")));
  EXPECT_EQ(json["mode"], "observe");
  EXPECT_TRUE(json["domains"].empty());
}

TEST(EffectivePolicy, ListsItsHostsAsWritten) {
  EXPECT_THAT(host_patterns(*compile("domains: [b.test, \"*.a.test\"]")), ElementsAre("b.test", "*.a.test"));
}

}  // namespace
}  // namespace soleroute::policy::testing
