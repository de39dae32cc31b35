// One view of special-use names in every phase of a decision, in `check` and in what observe mode passes.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/special_names.h"

#include <gmock/gmock.h>

#include <string>

#include "policy/explanation.h"
#include "policy/observe.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(SpecialNames, AreToldFromPublicOnes) {
  const struct {
    const char* name;
    SpecialName kind;
  } cases[] = {
      {"gateway.internal", SpecialName::kGateway},
      {"x.gateway.internal", SpecialName::kLocal},
      {"use-application-dns.net", SpecialName::kNoDoh},
      {"1.0.0.127.in-addr.arpa", SpecialName::kReverse},
      {"1.ip6.arpa", SpecialName::kReverse},
      {"_dns.resolver.arpa", SpecialName::kReverse},
      {"default.service.arpa", SpecialName::kReverse},
      {"ipv4only.arpa", SpecialName::kReverse},
      {"nas.home.arpa", SpecialName::kLocal},
      {"localhost", SpecialName::kLoopback},
      {"a.localhost", SpecialName::kLoopback},
      {"abc.onion", SpecialName::kNever},
      {"x.alt", SpecialName::kNever},
      {"x.invalid", SpecialName::kNever},
      {"wpad", SpecialName::kLocal},
      {"printer.local", SpecialName::kLocal},
      {"api.default.svc.cluster.local", SpecialName::kLocal},
      {"metadata.google.internal", SpecialName::kLocal},
      {"localhost.example.com", SpecialName::kNone},
      {"notlocal", SpecialName::kLocal},
      {"example.notlocal", SpecialName::kNone},
      {"notarpa.test", SpecialName::kNone},
      {"internal.example.com", SpecialName::kNone},
      {"allowed.test", SpecialName::kNone},
      {"a.example", SpecialName::kNone},
  };
  for (const auto& c : cases) EXPECT_EQ(special_name(name(c.name)), c.kind) << c.name;
}

constexpr std::string_view kListed =
    "domains: [localhost, \"*.localhost\", a.onion, a.alt, a.invalid, ipv4only.arpa, use-application-dns.net,\n"
    "  \"*.internal\", \"*.local\", \"*.home.arpa\", \"*.svc.cluster.local\", db, a.test, a.example]\n"
    "endpoints: [{host: b.onion, port: 22}, {host: x.localhost, port: 22}, {host: cache, port: 6379}]\n";

std::vector<FlowFacts> every_phase(std::string_view host) {
  return {dns(host), tls(host), http(host), https(host), connect(host), connect(host, 22)};
}

TEST(SpecialNames, NeverForwardedAreDeniedInEveryPhaseWhateverIsListed) {
  for (const auto mode : {"", "mode: observe\n"}) {
    const auto policy = compile(std::string(kListed) + mode);
    for (const auto* host : {"localhost", "x.localhost", "a.onion", "b.onion", "a.alt", "a.invalid", "ipv4only.arpa",
                             "1.in-addr.arpa", "use-application-dns.net", "unlisted.onion"}) {
      for (const auto& facts : every_phase(host)) {
        const auto decision = policy->decide(facts);
        EXPECT_EQ(to_string(decision.reason), "special_use_name") << host;
        EXPECT_FALSE(may_pass(*policy, decision)) << host;
        EXPECT_EQ(how_to_allow(*policy, facts, decision), "") << host << ": no line would help";
        EXPECT_THAT(reason_sentence(*policy, facts, decision), HasSubstr(host));
      }
    }
  }
}

TEST(SpecialNames, OfThisNetworkAreAllowedWhereTheyAreListed) {
  const auto policy = compile(kListed);
  for (const auto* host :
       {"x.internal", "printer.local", "api.default.svc.cluster.local", "nas.home.arpa", "db", "a.test", "a.example"}) {
    for (const auto& facts : {dns(host), tls(host), http(host), https(host), connect(host)}) {
      EXPECT_TRUE(policy->decide(facts).allowed()) << host;
    }
  }
  EXPECT_TRUE(policy->decide(dns("cache")).allowed());
  EXPECT_TRUE(policy->decide(connect("cache", 6379)).allowed());
}

// In every phase, so that HTTP asks for no name that DNS denies.
TEST(SpecialNames, OfThisNetworkAreNotObserved) {
  const auto policy = compile("mode: observe\ndomains: [\"*.corp.internal\"]\n");
  for (const auto* host : {"x.internal", "x.local", "x.home.arpa", "wpad"}) {
    for (const auto& facts : every_phase(host)) {
      const auto decision = policy->decide(facts);
      EXPECT_FALSE(may_pass(*policy, decision)) << host;
    }
    EXPECT_NE(how_to_allow(*policy, tls(host), policy->decide(tls(host))), "") << "a line can list it";
  }
  for (const auto& facts : every_phase("db.corp.internal")) EXPECT_TRUE(may_pass(*policy, policy->decide(facts)));
  for (const auto& facts : every_phase("other.test")) EXPECT_TRUE(may_pass(*policy, policy->decide(facts)));
}

TEST(SpecialNames, ThatNeverResolveAreWarnedOfWhereTheyAreListed) {
  const auto warnings = compile(kListed)->warnings();
  for (const auto* pattern : {"localhost", "*.localhost", "a.onion", "a.alt", "a.invalid", "ipv4only.arpa",
                              "use-application-dns.net", "b.onion", "x.localhost"}) {
    EXPECT_THAT(warnings, Contains(HasSubstr(std::string(" ") + pattern + " has no effect: "))) << pattern;
  }
  EXPECT_EQ(warnings.size(), 10U) << "and for an endpoint the line that reaches the machine";
  EXPECT_THAT(compile("domains: [\"*.internal\", \"*.local\", \"*.home.arpa\", db, a.test]")->warnings(), IsEmpty());
}

}  // namespace
}  // namespace soleroute::policy::testing
