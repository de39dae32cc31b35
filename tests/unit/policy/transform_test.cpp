// Headers that a policy sets on requests: when, with which secret, and when never.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <string>

#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

constexpr std::string_view kBearer = R"(domains:
  - host: api.test
    transform:
      request:
        headers:
          Authorization: {secret: api.token, transform: {type: bearer}}
    rules:
      - {methods: [GET], path: {prefix: /v1/}}
)";

// What is set on a request, as describe() says it; empty if nothing.
std::string set_on(const Policy& policy, const FlowFacts& facts) {
  const auto decision = policy.decide(facts);
  EXPECT_TRUE(decision.allowed() || decision.transforms.empty()) << "a refused request is given nothing";
  std::string out;
  for (const auto& transform : decision.transforms) out += (out.empty() ? "" : ", ") + describe(transform);
  return out;
}

TEST(Transform, IsOfTheRequestsThatItsHostsRulesAdmit) {
  const auto policy = compile(kBearer);
  EXPECT_EQ(set_on(*policy, https("api.test", "GET", "/v1/a")), "Authorization: Bearer <secret api.token>");
  EXPECT_FALSE(policy->decide(https("api.test", "GET", "/v2/a")).allowed());
  EXPECT_FALSE(policy->decide(https("api.test", "POST", "/v1/a")).allowed());
  EXPECT_EQ(reason(*policy, http("api.test", "GET", "/v1/a")), "scheme_not_permitted") << "never in clear text";
}

TEST(Transform, IsNeverOfAConnectionThatIsPassedThrough) {
  for (const std::string_view text : {
           kBearer,
           std::string_view(
               "domains:\n  - host: api.test\n    transform: &t\n      request: {headers: {X-Key: {secret: "
               "k, transform: {type: raw}}}}\n  - api.test\n"),
           std::string_view("domains:\n  - {host: api.test, rules: [{schemes: [https], transform: {request: {headers: "
                            "{X-Key: {secret: k, transform: {type: raw}}}}}}, {schemes: [https]}]}\n"),
       }) {
    const auto policy = compile(text);
    for (const auto& facts : {tls("api.test"), connect("api.test")}) {
      const auto decision = policy->decide(facts);
      EXPECT_TRUE(decision.allowed()) << text;
      EXPECT_EQ(decision.treatment, Treatment::kInspect) << text;
      EXPECT_TRUE(decision.transforms.empty()) << "nothing is known of a request yet";
    }
    EXPECT_EQ(policy->decide(https("api.test", "GET", "/v1/a")).treatment, Treatment::kInspect) << text;
  }
}

TEST(Transform, CannotBePassedThroughByAnotherLayerEither) {
  const auto policy = try_compile({kBearer, "domains:\n  - host: api.test\n    tls: passthrough\n"});
  ASSERT_FALSE(policy);
  EXPECT_TRUE(
      policy.error().message.starts_with("layer1.yaml:3:10: 'tls: passthrough' of api.test contradicts its "
                                         "transform"))
      << policy.error().message;
}

TEST(Transform, HoldsWhateverElseAdmitsTheRequest) {
  const auto policy = compile({"domains: [api.test]", kBearer});
  EXPECT_EQ(set_on(*policy, https("api.test", "GET", "/v1/a")), "Authorization: Bearer <secret api.token>");
  EXPECT_EQ(set_on(*policy, https("api.test", "POST", "/v1/a")), "") << "allowed by the other entry, as it came";
  EXPECT_TRUE(policy->decide(https("api.test", "POST", "/v1/a")).allowed());
  EXPECT_TRUE(policy->decide(http("api.test", "GET", "/v1/a")).allowed());
  EXPECT_EQ(set_on(*policy, http("api.test", "GET", "/v1/a")), "") << "never in clear text";
}

TEST(Transform, OfARuleGoesBeforeThatOfItsHost) {
  const auto policy = compile(R"(domains:
  - host: api.test
    rules:
      - path: {prefix: /b/}
        transform:
          request:
            headers: {X-Key: {secret: other, transform: {type: raw}}}
            on_existing_header: replace
      - path: {prefix: /a/}
    transform:
      request:
        headers: {Authorization: {secret: one, transform: {type: basic, username: me}}}
)");
  EXPECT_EQ(set_on(*policy, https("api.test", "GET", "/a/")), "Authorization: Basic <me:<secret one>>");
  EXPECT_EQ(set_on(*policy, https("api.test", "GET", "/b/")), "X-Key: <secret other>");
  EXPECT_FALSE(policy->decide(https("api.test", "GET", "/a/")).transforms[0].replace);
  EXPECT_TRUE(policy->decide(https("api.test", "GET", "/b/")).transforms[0].replace);
}

TEST(Transform, WithoutRulesIsOfEveryHttpsRequest) {
  const auto policy = compile(
      "domains:\n  - host: api.test\n    transform: {request: {headers: {X-Key: {secret: k, "
      "transform: {type: raw}}}}}\n");
  EXPECT_EQ(set_on(*policy, https("api.test", "DELETE", "/any?thing")), "X-Key: <secret k>");
  EXPECT_EQ(reason(*policy, http("api.test")), "scheme_not_permitted");
}

TEST(Transform, IsForgottenWhenItsEntryIsReplaced) {
  const auto policy = compile({kBearer, "domains: [{host: api.test, merge_mode: replace}]"});
  EXPECT_EQ(set_on(*policy, https("api.test", "GET", "/v1/a")), "");
  EXPECT_EQ(policy->decide(tls("api.test")).treatment, Treatment::kPassThrough);
  EXPECT_TRUE(policy->secrets().empty());
}

TEST(Transform, ListsWhatSecretsAreSentAsOnceWithTheirLines) {
  const auto policy = compile({kBearer, R"(services:
  - name: github
    repos: [o/r]
    git: {access: read, auth: {secret: gh}}
    api: {access: read, auth: {secret: gh}}
)"});
  const auto secrets = policy->secrets();
  ASSERT_EQ(secrets.size(), 3u);
  EXPECT_EQ(describe(*secrets[0].transform), "Authorization: Bearer <secret api.token>");
  EXPECT_EQ(secrets[0].line.line, 8);
  EXPECT_EQ(describe(*secrets[1].transform), "Authorization: Basic <x-access-token:<secret gh>>");
  EXPECT_EQ(describe(*secrets[2].transform), "Authorization: Bearer <secret gh>");
  EXPECT_EQ(secrets[1].line.file, "layer1.yaml");
}

TEST(Transform, IsToldToPeopleAndCanBeWrittenAgain) {
  const auto policy = compile(kBearer);
  EXPECT_NE(policy->describe().find("sets Authorization: Bearer <secret api.token>"), std::string::npos)
      << policy->describe();
  const auto again = compile(R"(domains:
  - host: api.test
    rules:
      - {schemes: [https], transform: {request: {headers: {"X-Key": {secret: "k", transform: {type: raw}}}, on_existing_header: replace}}}
)");
  EXPECT_NE(again->describe().find("replaces X-Key: <secret k>"), std::string::npos) << again->describe();
}

TEST(Transform, WarnsOfWildcards) {
  const auto policy = compile(
      "domains:\n  - host: \"*.api.test\"\n    transform: {request: {headers: {X-Key: {secret: k, "
      "transform: {type: raw}}}}}\n");
  ASSERT_EQ(policy->warnings().size(), 1u);
  EXPECT_EQ(policy->warnings()[0], "policy.yaml:2: *.api.test: all of its subdomains are sent a secret");
}

TEST(SecretId, IsAFileNameAndNothingElse) {
  for (const std::string_view good : {"a", "github.owner.repo.token", "A_b-9", "..a", "-"}) {
    EXPECT_TRUE(is_secret_id(good)) << good;
  }
  for (const std::string_view bad : {"", ".", "..", "a/b", "../a", "a b", "a\n", "ä", "a:b", "~a", "$a"}) {
    EXPECT_FALSE(is_secret_id(bad)) << bad;
  }
  EXPECT_FALSE(is_secret_id(std::string(kMaxSecretIdBytes + 1, 'a')));
}

TEST(SameHeader, KnowsCaseAndUnderscores) {
  EXPECT_TRUE(same_header("Authorization", "aUTHORIZATION"));
  EXPECT_TRUE(same_header("X-Api-Key", "x_api-key"));
  EXPECT_FALSE(same_header("X-Api-Key", "X-Api-Keys"));
  EXPECT_FALSE(same_header("X-Api-Key", "X.Api.Key"));
}

}  // namespace
}  // namespace soleroute::policy::testing
