// Properties of decide() over generated policies and flows.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <random>

#include "policy/explanation.h"
#include "tests/unit/policy/policy_generator.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

constexpr std::uint32_t kPolicies = 400;
constexpr std::uint32_t kPoliciesToWiden = 100;
constexpr int kFlowsPerPolicy = 40;

TEST(DecideProperty, ADenyNeverTurnsIntoAnAllowAsFactsGrow) {
  int denied_late = 0;
  int allowed_whole = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string text = any.policy();
    const auto policy = compile(text);
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      bool denied = false;
      const auto steps = growing_flow(any);
      for (std::size_t step = 0; step < steps.size(); ++step) {
        const bool allowed = policy->decide(steps[step]).allowed();
        ASSERT_FALSE(denied && allowed) << "step " << step << " for " << steps[step].host->text() << "\n" << text;
        if (!allowed && !denied && step > 0) ++denied_late;
        denied = denied || !allowed;
      }
      if (!denied) ++allowed_whole;
    }
  }
  EXPECT_GT(denied_late, 100) << "the generator must reach denials beyond the first question";
  EXPECT_GT(allowed_whole, 100) << "and flows that are allowed to the end";
}

TEST(DecideProperty, TheSuggestedLinesAllowTheFlowAndTakeNothingAway) {
  int suggested = 0;
  for (std::uint32_t seed = 0; seed < kPoliciesToWiden; ++seed) {
    Generator any(seed);
    const std::string text = any.policy();
    const auto policy = compile(text);
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      std::vector<base::HostName> names;
      const auto facts = any_flow(any, names);
      const auto decision = policy->decide(facts);
      const std::string lines = how_to_allow(*policy, facts, decision);
      if (decision.allowed()) {
        EXPECT_EQ(lines, "");
        continue;
      }
      if (lines.empty()) continue;
      ++suggested;
      const auto widened = try_compile({text, lines});
      ASSERT_TRUE(widened) << widened.error().message << "\n" << text << "\n+\n" << lines;
      const auto after = (*widened)->decide(facts);
      ASSERT_TRUE(after.allowed()) << to_string(decision.reason) << " became " << to_string(after.reason) << "\n"
                                   << text << "\n+\n"
                                   << lines;
      for (int other = 0; other < 5; ++other) {
        std::vector<base::HostName> other_names;
        const auto elsewhere = any_flow(any, other_names);
        if (!policy->decide(elsewhere).allowed()) continue;
        ASSERT_TRUE((*widened)->decide(elsewhere).allowed()) << text << "\n+\n" << lines;
      }
    }
  }
  EXPECT_GT(suggested, 500);
}

TEST(DecideProperty, ASecretGoesToNothingButAnAllowedInspectedHttpsRequest) {
  int sent = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string text = any.policy();
    const auto policy = compile(text);
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      std::vector<base::HostName> names;
      const auto facts = any_flow(any, names);
      const auto decision = policy->decide(facts);
      if (decision.transforms.empty()) continue;
      ++sent;
      ASSERT_TRUE(decision.allowed()) << text;
      ASSERT_EQ(decision.treatment, Treatment::kInspect) << text;
      ASSERT_EQ(facts.scheme, Scheme::kHttps) << text;
      ASSERT_EQ(facts.phase, Phase::kHttp) << text;
      ASSERT_FALSE(decision.request_rules_pending) << text;
      const auto host = facts.host->text();
      for (const auto& connection : {tls(host, facts.port), connect(host, facts.port)}) {
        ASSERT_TRUE(policy->decide(connection).treatment == Treatment::kInspect) << "it would have passed unread\n"
                                                                                 << text;
      }
    }
  }
  EXPECT_GT(sent, 20);
}

// On a port that no entry lists, only an endpoint lets anything pass.
TEST(DecideProperty, RulesAreAboutTheirOwnPortsAlone) {
  int allowed = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string text = any.policy();
    const auto policy = compile(text);
    const auto listed = policy->domain_ports();
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      std::vector<base::HostName> names;
      auto facts = any_flow(any, names);
      if (facts.phase == Phase::kDns || facts.phase == Phase::kPacket) continue;
      facts.port = 9999;
      ASSERT_FALSE(base::contains(listed, facts.port)) << text;
      const auto decision = policy->decide(facts);
      ASSERT_FALSE(decision.allowed()) << text;
      facts.port = 8443;
      const auto on_listed = policy->decide(facts);
      if (!on_listed.allowed()) continue;
      ++allowed;
      const bool by_endpoint = on_listed.reason == Reason::kEndpointAllowed;
      ASSERT_TRUE(by_endpoint || base::contains(listed, facts.port)) << text;
    }
  }
  EXPECT_GT(allowed, 100);
}

TEST(DecideProperty, ReasonsThatAPolicyCanChangeComeWithLines) {
  const auto policy = compile(R"(domains:
  - {host: read.test, rules: [{schemes: [http], methods: [GET]}]}
  - {host: secure.test, rules: [{schemes: [https]}]}
  - {host: api.test, rules: [{schemes: [https], methods: [GET]}]}
)");
  for (const auto& facts : {dns("other.test"), tls("other.test"), http("other.test"), connect("other.test"),
                            http("read.test", "POST"), tls("read.test"), http("secure.test"), https("api.test", "POST"),
                            packet("45.33.32.1", 22), connect("read.test", 22)}) {
    const auto decision = policy->decide(facts);
    ASSERT_FALSE(decision.allowed()) << to_string(decision.reason);
    EXPECT_NE(how_to_allow(*policy, facts, decision), "") << to_string(decision.reason);
  }
}

// The winning entry by definition: exact before wildcard, then the longest suffix.
std::string winner(const std::vector<std::string>& patterns, const std::string& host) {
  std::string best;
  for (const auto& pattern : patterns) {
    if (pattern == host) return pattern;
    if (!pattern.starts_with("*.")) continue;
    const std::string suffix = pattern.substr(2);
    const bool below = host == suffix || host.ends_with("." + suffix);
    if (below && pattern.size() > best.size()) best = pattern;
  }
  return best;
}

TEST(DecideProperty, TheWinningEntryIsTheOneOfTheDefinition) {
  std::mt19937 random(7);
  const auto label = [&] { return std::string(1 + random() % 2, static_cast<char>('a' + random() % 3)); };
  const auto host = [&] {
    std::string out = "test";
    for (auto i = 1 + random() % 4; i > 0; --i) out = label() + "." + out;
    return out;
  };
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> patterns;
    std::string text = "domains:\n";
    for (auto i = random() % 30; i > 0; --i) {
      patterns.push_back((random() % 2 == 0 ? "*." : "") + host());
      text += "  - \"" + patterns.back() + "\"\n";
    }
    const auto policy = compile(text);
    for (int i = 0; i < 200; ++i) {
      const auto asked = host();
      EXPECT_EQ(policy->decide(tls(asked)).matched_host, winner(patterns, asked)) << asked << "\n" << text;
    }
  }
}

}  // namespace
}  // namespace soleroute::policy::testing
