// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/optional_hosts.h"

#include <gmock/gmock.h>

#include "policy/effective.h"
#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string explained(const Policy& policy, const FlowFacts& facts) {
  const auto use = optional_use(policy, facts, policy.decide(facts));
  return use ? describe(*use) : std::string{};
}

std::string lines(const Policy& policy, const FlowFacts& facts) {
  return how_to_allow(policy, facts, policy.decide(facts));
}

TEST(OptionalHosts, AreDeniedUntilThePolicyNamesTheirGroup) {
  const auto plain = compile("services: [gemini]");
  const auto named = compile("services: [{name: gemini, optional: [telemetry]}]");
  EXPECT_FALSE(plain->decide(tls("play.googleapis.com")).allowed());
  EXPECT_TRUE(named->decide(tls("play.googleapis.com")).allowed());
  EXPECT_EQ(named->decide(tls("play.googleapis.com")).rule.line, 1);
  EXPECT_TRUE(named->decide(tls("generativelanguage.googleapis.com")).allowed()) << "the service itself too";
  EXPECT_FALSE(named->decide(tls("accounts.google.com")).allowed()) << "a group that was not named";
}

TEST(OptionalHosts, AddUpOverEntriesAndLayersUntilOneReplaces) {
  const auto both =
      compile({"services: [{name: gemini, optional: [telemetry]}]", "services: [{name: gemini, optional: [vertex]}]"});
  EXPECT_TRUE(both->decide(tls("play.googleapis.com")).allowed());
  EXPECT_TRUE(both->decide(tls("aiplatform.googleapis.com")).allowed());
  const auto replaced = compile({"services: [{name: gemini, optional: [telemetry]}]",
                                 "services: [{name: gemini, merge_mode: replace, optional: [vertex]}]"});
  EXPECT_FALSE(replaced->decide(tls("play.googleapis.com")).allowed());
  EXPECT_TRUE(replaced->decide(tls("aiplatform.googleapis.com")).allowed());
  EXPECT_EQ(explained(*replaced, tls("play.googleapis.com")), "optional for gemini (telemetry): works without");
}

TEST(OptionalHosts, OfAReadOnlyServiceAreReadOnlyToo) {
  const auto policy = compile("services: [{name: gemini, readonly: true, optional: [telemetry, plugins]}]");
  EXPECT_TRUE(policy->decide(https("play.googleapis.com", "GET", "/log")).allowed());
  EXPECT_FALSE(policy->decide(https("play.googleapis.com", "POST", "/log")).allowed());
  EXPECT_TRUE(policy->decide(https("github.com", "GET", "/google-gemini/x")).allowed());
  EXPECT_FALSE(policy->decide(https("github.com", "POST", "/google-gemini/x")).allowed());
  EXPECT_FALSE(policy->decide(https("github.com", "GET", "/elsewhere/x")).allowed());
}

TEST(OptionalHosts, OfAGroupWithRulesAdmitNothingElse) {
  const auto policy = compile("services: [{name: codex, optional: [plugins]}]");
  EXPECT_TRUE(policy->decide(https("github.com", "POST", "/openai/plugins.git/git-upload-pack")).allowed());
  EXPECT_FALSE(policy->decide(https("github.com", "POST", "/evil/x.git/git-receive-pack")).allowed());
  EXPECT_FALSE(policy->decide(http("github.com", "GET", "/openai/plugins.git")).allowed()) << "in clear";
  EXPECT_TRUE(compile("services: [{name: gemini, optional: [updates]}]")
                  ->decide(https("registry.npmjs.org", "GET", "/@google%2fgemini-cli"))
                  .allowed());
}

// An exact entry beats a wildcard. What an optional group adds must not take away what a wildcard gives.
TEST(OptionalHosts, NeverNarrowWhatAnotherEntryAllows) {
  for (const auto* text : {"services: [github, {name: codex, optional: [updates, plugins]}]",
                           "services: [{name: codex, optional: [updates, plugins]}, github]",
                           "services: [{name: codex, optional: [updates, plugins]}]\ndomains: ['*.github.com']"}) {
    const auto policy = compile(text);
    EXPECT_TRUE(policy->decide(https("api.github.com", "POST", "/repos/me/mine/issues")).allowed()) << text;
    EXPECT_EQ(policy->decide(tls("api.github.com")).treatment, Treatment::kPassThrough) << text;
    EXPECT_THAT(policy->warnings(), IsEmpty()) << text;
  }
  const auto readonly = compile("services: [{name: github, readonly: true}, {name: codex, optional: [updates]}]");
  EXPECT_TRUE(readonly->decide(https("api.github.com", "GET", "/user")).allowed());
  EXPECT_FALSE(readonly->decide(https("api.github.com", "POST", "/user")).allowed());
  const auto alone = compile("services: [{name: codex, optional: [updates]}]");
  EXPECT_FALSE(alone->decide(https("api.github.com", "GET", "/user")).allowed()) << "nobody else allows it";
}

TEST(OptionalHosts, AreExplainedWithTheServiceThatAsksForThem) {
  const auto policy = compile("services: [gemini]");
  for (const auto& facts : {dns("play.googleapis.com"), tls("play.googleapis.com"),
                            https("play.googleapis.com", "POST", "/log"), connect("play.googleapis.com")}) {
    EXPECT_EQ(explained(*policy, facts), "optional for gemini (telemetry): works without");
  }
  EXPECT_THAT(reason_sentence(*policy, tls("play.googleapis.com"), policy->decide(tls("play.googleapis.com"))),
              HasSubstr(" It is optional for gemini (telemetry): works without."));
  EXPECT_EQ(explained(*policy, tls("evil.example")), "");
  EXPECT_EQ(explained(*compile("services: [claude]"), tls("play.googleapis.com")), "") << "no gemini in the policy";
  EXPECT_EQ(explained(*policy, tls("oauth2.googleapis.com")), "") << "allowed";
}

TEST(OptionalHosts, AreExplainedOnlyForRequestsThatTheGroupAdmits) {
  const auto policy = compile("services: [claude]");
  EXPECT_EQ(explained(*policy, https("github.com", "GET", "/anthropics/skills.git/info/refs")),
            "optional for claude (plugins): works without");
  EXPECT_EQ(explained(*policy, https("github.com", "GET", "/other/repository")), "");
  EXPECT_EQ(explained(*policy, tls("github.com")), "") << "which request it was for is not known";
}

TEST(OptionalHosts, AreSuggestedByTheNameOfTheirGroup) {
  const auto policy = compile("services: [gemini]");
  EXPECT_EQ(lines(*policy, tls("play.googleapis.com")), "services:\n  - {name: gemini, optional: [telemetry]}\n");
  EXPECT_EQ(lines(*policy, tls("evil.example")), "domains:\n  - evil.example\n");
}

// Naming the service once more would allow all of it, where the policy allows a part.
TEST(OptionalHosts, AreSuggestedAsHostsWhereTheServiceIsNotWhollyAllowed) {
  for (const auto* text : {"services: [{name: gemini, readonly: true}]",
                           "services: [gemini]\ndomains: [{host: oauth2.googleapis.com, merge_mode: replace, rules: "
                           "[{methods: [GET]}]}]"}) {
    const auto policy = compile(text);
    EXPECT_EQ(explained(*policy, tls("play.googleapis.com")), "optional for gemini (telemetry): works without") << text;
    EXPECT_EQ(lines(*policy, tls("play.googleapis.com")), "domains:\n  - play.googleapis.com\n") << text;
  }
}

TEST(OptionalHosts, AreListedBesideWhatIsAllowedUntilTheyAre) {
  const auto policy = compile("services: [{name: gemini, optional: [vertex]}]");
  for (const auto& text : {policy->describe(), effective_text(*policy)}) {
    EXPECT_THAT(text, HasSubstr("  gemini telemetry: play.googleapis.com\n"));
    EXPECT_THAT(text, Not(HasSubstr("gemini vertex")));
  }
  EXPECT_THAT(effective_json(*policy), HasSubstr("aiplatform.googleapis.com"));
}

}  // namespace
}  // namespace soleroute::policy::testing
