// T232, T235: properties of `deny:` over generated policies and flows.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "policy/observe.h"
#include "tests/unit/policy/policy_generator.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

constexpr std::uint32_t kPolicies = 120;
constexpr int kFlowsPerPolicy = 40;

std::string without_denials(const std::string& text) {
  const auto at = text.find("deny:\n");
  return at == std::string::npos ? text : text.substr(0, at);
}

TEST(DenyProperty, AllowsNothingAndWinsInAnyOrderOfLayers) {
  int taken_away = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string allows = without_denials(any.policy());
    const std::string denies = any.denials();
    const auto alone = compile(allows);
    const auto in_order = compile({allows, denies});
    const auto reversed = compile({denies, allows});
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      std::vector<base::HostName> names;
      const auto facts = any_flow(any, names);
      const bool allowed = in_order->decide(facts).allowed();
      ASSERT_EQ(reversed->decide(facts).allowed(), allowed) << allows << denies;
      ASSERT_TRUE(!allowed || alone->decide(facts).allowed()) << allows << denies;
      if (!allowed && alone->decide(facts).allowed()) ++taken_away;
    }
  }
  EXPECT_GT(taken_away, 100);
}

TEST(DenyProperty, NoLaterLayerTakesAnythingBack) {
  int denied = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string denies = any.denials();
    const std::string first = without_denials(any.policy());
    std::string later = any.policy();
    for (const std::string_view host : {"a.test", "x.test", "b.a.test"}) {
      later.insert(later.find("endpoints:\n"), "  - {host: " + std::string(host) + ", merge_mode: replace}\n");
    }
    const auto policy = compile({denies, first});
    const auto layered = compile({denies, first, later});
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      std::vector<base::HostName> names;
      const auto facts = any_flow(any, names);
      if (policy->decide(facts).reason != Reason::kDeniedByPolicy) continue;
      if (facts.phase != Phase::kPacket) ++denied;
      ASSERT_FALSE(layered->decide(facts).allowed()) << denies << first << "\n+\n" << later;
    }
  }
  EXPECT_GT(denied, 100);
}

// `observe` lets pass what is not listed, and nothing that is denied. What may hold such a request does not pass
// unread either.
TEST(DenyProperty, HoldsInObserveMode) {
  int observed = 0;
  int denied = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string denies = any.denials();
    const auto strict = compile({"allow_all_public: true\ndomains: ['*']", denies});
    const auto lax = compile({"mode: observe", denies});
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      const std::string host(any.host());
      const auto request = https(host, any.method(), any.target());
      if (is_observed(*lax, lax->decide(tls(host)))) {
        ++observed;
        ASSERT_TRUE(strict->decide(request).allowed()) << "it would pass unread\n" << denies;
      }
      if (strict->decide(request).allowed()) continue;
      ++denied;
      ASSERT_FALSE(is_observed(*lax, lax->decide(request))) << denies;
    }
  }
  EXPECT_GT(observed, 100) << "the control";
  EXPECT_GT(denied, 100);
}

// What an endpoint opens is not read: the same flow is denied as soon as any request of it could be.
TEST(DenyProperty, NoUnreadConnectionCarriesWhatIsDenied) {
  int unread = 0;
  for (std::uint32_t seed = 0; seed < kPolicies; ++seed) {
    Generator any(seed);
    const std::string denies = any.denials();
    const auto endpoints = compile({"endpoints: [{cidr: 0.0.0.0/0, ports: [80, 443, 8443]}]", denies});
    const auto domains = compile({"allow_all_public: true\ndomains: [{host: '*', ports: [80, 443, 8443]}]", denies});
    for (int i = 0; i < kFlowsPerPolicy; ++i) {
      const std::string host(any.host());
      const std::vector<base::HostName> names{name(host)};
      auto facts = packet("45.33.32.99", 8443);
      facts.resolved_names = names;
      if (!endpoints->decide(facts).allowed()) continue;
      ++unread;
      for (const auto& request : {https(host, any.method(), any.target()), http(host, any.method(), any.target())}) {
        const auto decision = domains->decide(at(request, 8443));
        ASSERT_NE(decision.reason, Reason::kDeniedByPolicy) << request.host->text() << "\n" << denies;
      }
    }
  }
  EXPECT_GT(unread, 100);
}

}  // namespace
}  // namespace soleroute::policy::testing
