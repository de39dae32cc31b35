// Properties of decide() over generated policies and flows.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <initializer_list>
#include <random>

#include "policy/explanation.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

// Small alphabets, so that generated flows meet generated entries often.
class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  std::string policy() {
    std::string out = "services: [" + std::string(chance(4) ? service() : "") + "]\ndomains:\n";
    for (int i = below(6); i > 0; --i) out += domain();
    out += "endpoints:\n";
    for (int i = below(3); i > 0; --i) out += endpoint();
    return out;
  }

  std::string_view host() {
    return pick({"a.test", "b.a.test", "c.b.a.test", "x.test", "y.x.test", "github.com", "api.github.com"});
  }
  std::string_view method() { return pick({"GET", "POST", "PUT", "get"}); }
  std::string_view target() {
    return pick({"/", "/v1/", "/v1/a", "/v1/../a", "/v1/%2e%2e/a", "/V1/a?q=1", "/v1/a?q=1", "/o/r/git-upload-pack",
                 "/O/r.git/git-receive-pack", "/o/r/info/refs?service=git-upload-pack", "/repos/o/r/issues", "/v1%2fa",
                 "/v1/a?q=1&q=2"});
  }
  std::uint16_t port() { return one_of<std::uint16_t>({80, 443, 443, 22, 5432, 8443, 3000, 0}); }
  std::string_view ip() { return pick({"45.33.32.10", "45.33.32.11", "10.0.0.1", "2606:4700::1", "127.0.0.1"}); }
  Transport transport() {
    return one_of<Transport>({Transport::kTcp, Transport::kTcp, Transport::kUdp, Transport::kIcmp});
  }
  bool chance(int in) { return below(in) == 0; }
  int below(int bound) { return static_cast<int>(random_() % static_cast<std::uint32_t>(bound)); }

 private:
  template <class T>
  T one_of(std::initializer_list<T> from) {
    return from.begin()[below(static_cast<int>(from.size()))];
  }
  std::string_view pick(std::initializer_list<std::string_view> from) { return one_of(from); }

  std::string_view service() {
    return pick(
        {"{name: github, readonly: true}", "{name: github, repos: [o/r], git: {access: read}}",
         "{name: github, repos: [O/R], git: {access: readwrite, auth: {secret: s}}, api: {access: readwrite}}"});
  }

  std::string pattern() {
    const auto name = std::string(host());
    return chance(3) ? "\"*." + name + "\"" : name;
  }

  std::string rule() {
    const bool sets_header = chance(4);
    std::string out =
        "      - {schemes: [" + std::string(sets_header ? "https" : pick({"http", "https", "http, https"})) + "]";
    if (sets_header) out += ", transform: {request: {headers: {X-Key: {secret: s, transform: {type: raw}}}}}";
    if (chance(2)) out += ", methods: [" + std::string(pick({"GET", "POST", "GET, POST"})) + "]";
    if (chance(2))
      out += ", path: " + std::string(pick({"{prefix: /v1/}", "{exact: /v1/a}", "{exact: /}", "{prefix: /v1}"}));
    if (chance(4)) out += ", query: {exact: " + std::string(pick({"{}", "{q: 1}"})) + "}";
    return out + "}\n";
  }

  std::string domain() {
    if (chance(3)) return "  - " + pattern() + "\n";
    std::string out = "  - host: " + pattern() + "\n";
    if (chance(4)) out += "    addresses: [10.0.0.0/8]\n";
    if (chance(3)) {
      out += "    ports: " + std::string(pick({"[443, 8443]", "[8443]", "[3000]", "2000-9000", "[80, 3000]"})) + "\n";
    }
    if (chance(5)) out += "    tls: inspect\n";
    if (chance(5)) return out;
    out += "    rules:\n";
    for (int i = 1 + below(3); i > 0; --i) out += rule();
    return out;
  }

  std::string endpoint() {
    const std::string ports = std::string(pick({"[22]", "[22, 5432]", "[5432]", "[443]", "[80, 5000-9000]"}));
    const std::string protocol = chance(3) ? "udp" : "tcp";
    if (chance(2)) return "  - {host: " + pattern() + ", ports: " + ports + ", protocol: " + protocol + "}\n";
    return "  - {cidr: " + std::string(pick({"45.33.32.10", "45.33.32.0/24", "10.0.0.0/8"})) + ", ports: " + ports +
           ", protocol: " + protocol + "}\n";
  }

  std::mt19937 random_;
};

constexpr std::uint32_t kPolicies = 400;
constexpr std::uint32_t kPoliciesToWiden = 100;
constexpr int kFlowsPerPolicy = 40;

// One flow as more and more of it becomes known. Its name is known from the first question on.
std::vector<FlowFacts> growing_flow(Generator& any) {
  const std::string host(any.host());
  const auto port = any.port();
  const bool https_flow = port == 443 || (port != 80 && any.chance(2));
  std::vector<FlowFacts> steps{dns(host)};
  if (port != 80 && any.chance(2)) steps.push_back(connect(host, port));
  if (https_flow) steps.push_back(tls(host, port));
  auto request = https_flow ? https(host) : http(host);
  request.port = port;
  const auto method = any.method();
  const auto target = any.target();
  request.method.reset();
  request.target.reset();
  if (https_flow) request.sni = name(host);
  steps.push_back(request);
  request.method = method;
  steps.push_back(request);
  request.target = target;
  steps.push_back(request);
  if (any.chance(4)) {
    request.sni = name(any.host());
    steps.push_back(request);
  }
  return steps;
}

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

FlowFacts any_flow(Generator& any, std::vector<base::HostName>& names) {
  const std::string host(any.host());
  const auto port = any.port();
  switch (any.below(6)) {
    case 0:
      return dns(host);
    case 1:
      return tls(host, port);
    case 2:
      return connect(host, port);
    case 3:
    case 4: {
      auto request = any.chance(2) ? http(host, any.method(), any.target()) : https(host, any.method(), any.target());
      if (any.chance(3) && port != 80 && port != 443) request.port = port;
      return request;
    }
    default:
      break;
  }
  auto facts = packet(any.ip(), port, any.transport());
  if (any.chance(2)) names.push_back(name(host));
  facts.resolved_names = names;
  return facts;
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
      for (const auto& connection : {tls(facts.host->text()), connect(facts.host->text())}) {
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
