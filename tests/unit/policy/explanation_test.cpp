// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string page(const Policy& policy, const FlowFacts& facts) {
  return refusal_page(policy, facts, policy.decide(facts));
}
std::string lines(const Policy& policy, const FlowFacts& facts) {
  return how_to_allow(policy, facts, policy.decide(facts));
}

TEST(RefusalPage, SaysWhatWhyAndHowToAllowIt) {
  const auto policy = compile("domains: [allowed.test]");
  EXPECT_EQ(page(*policy, http("example.com")),
            "Blocked by proxy policy: example.com (to allow it, add to policy.yaml: domains: [example.com])\n"
            "\n"
            "example.com is not in the policy.\n"
            "Reason: host_not_allowed\n"
            "\n"
            "To allow it, add to policy.yaml:\n"
            "\n"
            "domains:\n"
            "  - example.com\n"
            "\n"
            "Or the operator allows it at once: gateway allow example.com\n");
}

TEST(RefusalPage, NamesTheCommandThatSaysTheSameAsTheLines) {
  const auto command = [](const Policy& policy, const FlowFacts& facts) {
    return allow_command(policy, facts, policy.decide(facts));
  };
  const auto policy = compile("domains: [allowed.test, {host: api.test, rules: [{methods: [GET], path: {exact: /}}]}]");
  EXPECT_EQ(command(*policy, http("example.com")), "gateway allow example.com");
  EXPECT_EQ(command(*policy, https("example.com")), "gateway allow example.com");
  EXPECT_EQ(command(*policy, http("npm")), "") << "a service has that name";
  EXPECT_EQ(command(*policy, http("api.test", "POST", "/x")), "") << "a rule is missing, not the host";
  EXPECT_EQ(command(*policy, http("allowed.test")), "") << "it is allowed";
  auto facts = http("example.com");
  facts.phase = Phase::kConnect;
  facts.port = 8443;
  EXPECT_EQ(command(*policy, facts), "gateway allow example.com:8443");
  const auto object = nlohmann::json::parse(refusal_json(*policy, facts, policy->decide(facts), 403));
  EXPECT_EQ(object["command"], "gateway allow example.com:8443");
}

TEST(RefusalPage, NamesTheHeaderOrTheSecretThatStoodInTheWay) {
  const auto policy = compile(R"(domains:
  - host: api.test
    transform:
      request:
        headers:
          Authorization: {secret: api.token, transform: {type: bearer}}
          X-Key: {secret: api.key, transform: {type: raw}}
)");
  const auto facts = https("api.test");
  auto decision = policy->decide(facts);
  ASSERT_EQ(decision.transforms.size(), 2u);
  decision.action = Action::kDeny;
  decision.reason = Reason::kHeaderNotPermitted;
  EXPECT_THAT(refusal_page(*policy, facts, decision),
              HasSubstr("The gateway sets Authorization and X-Key on this request; requests may not set this header"));
  decision.reason = Reason::kSecretUnavailable;
  EXPECT_THAT(refusal_page(*policy, facts, decision),
              HasSubstr("Allowed, but the secret api.token and api.key could not be read."));
  EXPECT_EQ(how_to_allow(*policy, facts, decision), "") << "nothing that a policy says would help";
}

TEST(RefusalPage, ListsTheRulesOfAHostThatIsAllowedByName) {
  const auto policy = compile(R"(domains:
  - host: "*.api.test"
    rules:
      - {schemes: [http], methods: [GET], path: {prefix: /v1/}}
      - {methods: [POST], path: {exact: /v2}, query: {exact: {}}}
)");
  EXPECT_EQ(page(*policy, http("eu.api.test", "DELETE", "/v1/x?token=secret")),
            "Blocked by proxy policy: eu.api.test (to allow it, add to policy.yaml: domains: [{host: \"*.api.test\", "
            "rules: [{schemes: [http], methods: [DELETE], path: {exact: \"/v1/x\"}}]}])\n"
            "\n"
            "eu.api.test is allowed, but no rule matches this method and path.\n"
            "Reason: no_rule_matched\n"
            "Decided by: policy.yaml:2 (*.api.test)\n"
            "\n"
            "Rules for *.api.test:\n"
            "  http only, GET, paths beginning with /v1/  (policy.yaml:4)\n"
            "  http and https, POST, path exactly /v2, no query  (policy.yaml:5)\n"
            "\n"
            "To allow it, add to policy.yaml:\n"
            "\n"
            "domains:\n"
            "  - {host: \"*.api.test\", rules: [{schemes: [http], methods: [DELETE], path: {exact: \"/v1/x\"}}]}\n");
}

TEST(RefusalPage, ReflectsNothingOfTheRequestUnescaped) {
  const auto policy = compile("domains: [{host: api.test, rules: [{methods: [GET], path: {exact: /}}]}]");
  for (const std::string_view target : {"/\"}\n<script>", "/a\x1b[2J", "/\xe2\x80\xae", "/a'b\"c`d", "/{}[]#", "/\\"}) {
    for (const std::string_view method : {"GET", "X\"\n", "<b>", "\x1b[2J"}) {
      const auto facts = http("api.test", method, target);
      const auto text = page(*policy, facts);
      EXPECT_THAT(text, StartsWith("Blocked by proxy policy: api.test"));
      EXPECT_THAT(text, Not(HasSubstr("<")));
      for (const char c : text) {
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 0x7f)) << "byte " << static_cast<int>(static_cast<unsigned char>(c));
      }
    }
  }
}

TEST(RefusalJson, HoldsTheSameAsAnObject) {
  const auto policy = compile("domains: [{host: api.test, rules: [{schemes: [http], methods: [GET]}]}]");
  const auto facts = http("api.test", "POST", "/x");
  const auto body = nlohmann::json::parse(refusal_json(*policy, facts, policy->decide(facts), 403));
  EXPECT_EQ(body.size(), 11u);
  EXPECT_EQ(body["type"], "http://gateway.internal/policy#no_rule_matched");
  EXPECT_EQ(body["title"], "Blocked by proxy policy");
  EXPECT_EQ(body["status"], 403);
  EXPECT_EQ(body["detail"], "api.test is allowed, but no rule matches this method and path.");
  EXPECT_EQ(body["instance"], "http://gateway.internal/denials");
  EXPECT_EQ(body["error"],
            "Blocked by proxy policy: api.test (to allow it, add to policy.yaml: domains: [{host: api.test, rules: "
            "[{schemes: [http], methods: [POST], path: {exact: \"/x\"}}]}])");
  EXPECT_EQ(body["host"], "api.test");
  EXPECT_EQ(body["reason"], "no_rule_matched");
  EXPECT_EQ(body["rule"], "policy.yaml:1");
  EXPECT_EQ(body["message"],
            "Blocked by proxy policy: api.test. api.test is allowed, but no rule matches this method and path. To "
            "allow it, add to policy.yaml: domains: [{host: api.test, rules: [{schemes: [http], methods: [POST], "
            "path: {exact: \"/x\"}}]}]");
  EXPECT_THAT(body["suggestion"].get<std::string>(), HasSubstr("methods: [POST]"));
  const auto unknown = dns("other.test");
  const auto bare = nlohmann::json::parse(refusal_json(*policy, unknown, policy->decide(unknown), 403));
  EXPECT_TRUE(bare["rule"].is_null());
}

// Claude Code and Copilot show this text and nothing else.
TEST(RefusalMessage, BeginsWithTheProxyAndTheHostAndEndsWithTheRemedy) {
  const auto message = [](std::string_view policy_text, const FlowFacts& facts) {
    const auto policy = compile(policy_text);
    return refusal_message(*policy, facts, policy->decide(facts));
  };
  EXPECT_EQ(message("domains: [a.test]", tls("api.anthropic.com")),
            "Blocked by proxy policy: api.anthropic.com. api.anthropic.com is not in the policy. To allow it, add to "
            "policy.yaml: domains: [api.anthropic.com]");
  EXPECT_EQ(
      message("services: [gemini]", tls("play.googleapis.com")),
      "Blocked by proxy policy: play.googleapis.com. play.googleapis.com is not in the policy. It is optional for "
      "gemini (telemetry): works without. To allow it, add to policy.yaml: services: [{name: gemini, optional: "
      "[telemetry]}]");
  EXPECT_EQ(
      message("domains: [a.test]", packet("45.33.32.66", 22)),
      "Blocked by proxy policy: 45.33.32.66. The policy does not allow TCP port 22 on 45.33.32.66. Use https instead "
      "of ssh, or allow this port. To allow it, add to policy.yaml: endpoints: [{cidr: 45.33.32.66/32, port: 22}]");
  EXPECT_EQ(message("domains: [a.test]", packet("45.33.32.66", 22, Transport::kIcmp)),
            "Blocked by proxy policy: 45.33.32.66. ICMP is blocked.");
}

TEST(RefusalMessage, HasARemedyThatIsAPolicy) {
  for (const auto& facts : {tls("b.test"), tls("1.e5.test"), packet("45.33.32.66", 22)}) {
    const auto policy = compile("domains: [a.test]");
    const auto message = refusal_message(*policy, facts, policy->decide(facts));
    constexpr std::string_view kRemedy = "policy.yaml: ";
    const auto line = message.substr(message.find(kRemedy) + kRemedy.size());
    EXPECT_TRUE(compile({"domains: [a.test]", line})->decide(facts).allowed()) << message;
  }
}

TEST(HowToAllow, IsAsNarrowAsTheFlow) {
  const auto policy = compile("domains: [{host: api.test, rules: [{schemes: [https], methods: [GET]}]}]");
  EXPECT_EQ(lines(*policy, packet("45.33.32.66", 9999)), "endpoints:\n  - {cidr: 45.33.32.66/32, port: 9999}\n");
  auto named = packet("10.0.0.7", 5432);
  const std::vector<base::HostName> names{name("db.test")};
  named.resolved_names = names;
  EXPECT_EQ(lines(*policy, named), "endpoints:\n  - {host: db.test, port: 5432, addresses: [10.0.0.7/32]}\n");
  EXPECT_EQ(lines(*policy, connect("db.test", 5432)), "endpoints:\n  - {host: db.test, port: 5432}\n");
  EXPECT_EQ(lines(*policy, http("api.test", "GET", "/a")),
            "domains:\n  - {host: api.test, rules: [{schemes: [http], methods: [GET], path: {exact: \"/a\"}}]}\n");
  EXPECT_EQ(lines(*policy, https("api.test", "POST", "/a")),
            "domains:\n  - {host: api.test, rules: [{schemes: [https], methods: [POST], path: {exact: \"/a\"}}]}\n");
  auto without_ca = policy->decide(tls("api.test"));
  without_ca.action = Action::kDeny;
  without_ca.reason = Reason::kInspectionNeeded;
  EXPECT_EQ(how_to_allow(*policy, tls("api.test"), without_ca),
            "domains:\n  - {host: api.test, tls: passthrough}  # everything on this host, not inspected\n");
}

TEST(HowToAllow, IsEmptyWhereNothingWouldHelp) {
  const auto policy = compile("domains: [{host: api.test, rules: [{methods: [GET], path: {exact: /}}]}]");
  auto mismatch = https("api.test");
  mismatch.sni = name("b.test");
  for (const auto& facts : {mismatch, http("api.test", "GET", "/../x"), http("api.test", "get", "/x"),
                            packet("45.33.32.1", 0, Transport::kIcmp), packet("45.33.32.1", 443, Transport::kUdp),
                            connect("other.test", 80)}) {
    EXPECT_EQ(lines(*policy, facts), "") << reason(*policy, facts);
  }
}

TEST(HowToAllow, AddsAnAddressWithoutWideningTheRules) {
  const std::string_view text = R"(domains:
  - host: "*.api.test"
    rules:
      - {schemes: [http], methods: [GET], path: {prefix: /v1/}, query: {exact: {"a b": ["c\"d", é], e: f}}}
  - open.test
services: [{name: github, readonly: true}]
)";
  const auto policy = compile(text);
  for (const auto host : {"eu.api.test", "open.test", "github.com"}) {
    auto facts = http(host, "GET", "/v1/?a+b=c%22d&a+b=%c3%a9&e=f");
    const auto denied = http(host, "POST", "/elsewhere");
    Decision refused = policy->decide(facts);
    ASSERT_TRUE(refused.allowed()) << host;
    refused.action = Action::kDeny;
    refused.reason = Reason::kPrivateAddress;  // as the flow says it once the name was resolved
    refused.refused_address = address("::ffff:10.0.0.7");
    const auto added = how_to_allow(*policy, facts, refused);
    const auto after = compile({text, added});
    const auto permitted = after->decide(facts).permitted_addresses;
    ASSERT_EQ(permitted.size(), 1u) << added;
    EXPECT_EQ(permitted[0].to_string(), "10.0.0.7/32");
    EXPECT_EQ(after->decide(denied).allowed(), policy->decide(denied).allowed()) << added;
    EXPECT_EQ(after->host_count(), policy->host_count()) << added;
  }
}

// The line is for the address that the name has, whatever the client went to, and works where the name is known
// already.
TEST(HowToAllow, ListsThePrivateAddressOfAnAllowedName) {
  struct Case {
    std::string_view policy;
    FlowFacts facts;
    std::string_view address;
    std::string_view lines;
  };
  for (const auto& [text, facts, where, expected] : {
           Case{"domains: [a.test]", dns("a.test"), "10.0.0.7",
                "domains:\n  - {host: a.test, addresses: [10.0.0.7/32]}\n"},
           Case{"domains: [a.test]", tls("a.test"), "fd00::7",
                "domains:\n  - {host: a.test, addresses: [\"fd00::7/128\"]}\n"},
           Case{"services: [npm]", tls("registry.npmjs.org"), "10.0.0.7",
                "domains:\n  - {host: registry.npmjs.org, addresses: [10.0.0.7/32]}\n"},
           Case{"endpoints: [{host: a.test, port: 5432}]", connect("a.test", 5432), "10.0.0.7",
                "endpoints:\n  - {host: a.test, port: 5432, addresses: [10.0.0.7/32]}\n"},
           Case{"endpoints: [{host: a.test, ports: [5432, 5433]}]", dns("a.test"), "10.0.0.7",
                "endpoints:\n  - {host: a.test, ports: [5432, 5433], addresses: [10.0.0.7/32]}\n"},
       }) {
    const auto policy = compile(text);
    auto decision = policy->decide(facts);
    ASSERT_TRUE(decision.allowed()) << text;
    EXPECT_TRUE(decision.permitted_addresses.empty()) << text;
    decision.action = Action::kDeny;
    decision.reason = Reason::kPrivateAddress;
    decision.refused_address = address(where);
    EXPECT_EQ(how_to_allow(*policy, facts, decision), expected);
    const auto after = compile({text, expected});
    const auto permitted = after->decide(facts).permitted_addresses;
    ASSERT_EQ(permitted.size(), 1U) << expected;
    EXPECT_TRUE(permitted[0].contains(address(where))) << expected;
    EXPECT_THAT(reason_sentence(*policy, facts, decision), HasSubstr("resolves to a private address ("));
  }
}

TEST(HowToAllow, NeverListsLoopback) {
  const auto policy = compile("domains: [a.test]");
  auto decision = policy->decide(tls("a.test"));
  decision.action = Action::kDeny;
  decision.reason = Reason::kPrivateAddress;
  decision.refused_address = address("127.0.0.1");
  EXPECT_EQ(how_to_allow(*policy, tls("a.test"), decision), "");
  decision.refused_address = address("10.0.0.1");
  EXPECT_NE(how_to_allow(*policy, tls("a.test"), decision), "") << "control";
}

TEST(HowToAllow, NeverNamesLocalhost) {
  const auto policy = compile("domains: [a.test]");
  for (const auto& facts : {tls("localhost"), dns("x.localhost"), connect("localhost", 3000)}) {
    EXPECT_EQ(lines(*policy, facts), "");
  }
  EXPECT_NE(lines(*policy, tls("localhost.test")), "") << "control";
}

TEST(PolicyFile, IsTheLastLayerAsTheOperatorNamedIt) {
  const auto file = [](std::vector<std::string> names) {
    std::vector<PolicySource> layers;
    for (auto& each : names) layers.push_back({std::move(each), "domains: [a.test]"});
    return policy_file(**Policy::compile(layers));
  };
  EXPECT_EQ(file({}), "policy.yaml");
  EXPECT_EQ(file({"base.yaml", ".devcontainer/policy.yaml"}), ".devcontainer/policy.yaml");
  EXPECT_EQ(file({"a\nb\x1b"}), "a?b?");
  EXPECT_EQ(file({std::string(1000, 'x')}).size(), 200U);
}

TEST(HowToAllow, QuotesNamesThatYamlTakesForSomethingElse) {
  const auto policy = *Policy::compile({});
  for (const auto host : {"1.e5", "on", "x", "0x1.e", "null", "a.test", "1e3.test"}) {
    const auto widened = try_compile({lines(*policy, dns(host))});
    ASSERT_TRUE(widened) << widened.error().message;
    EXPECT_TRUE((*widened)->decide(tls(host)).allowed()) << host;
  }
}

TEST(ReasonSentence, IsAsciiAndSaysSomethingForEveryReason) {
  const auto policy = compile("domains: [a.test]");
  const auto facts = tls("a.test");
  for (int i = 0; i <= static_cast<int>(Reason::kUpstreamFailed); ++i) {
    Decision decision;
    decision.reason = static_cast<Reason>(i);
    const auto sentence = reason_sentence(*policy, facts, decision);
    EXPECT_TRUE(sentence.ends_with('.')) << sentence;
    EXPECT_NE(to_string(decision.reason), "unknown");
    for (const char c : sentence) EXPECT_TRUE(c >= ' ' && c < 0x7f) << sentence;
  }
}

TEST(Describe, GivesTheMeaningAndThePlaceOfEveryEntry) {
  const auto policy = compile(R"(services: [{name: github, readonly: true}]
domains:
  - "*.example.com"
  - host: x.test
    addresses: [10.0.0.0/8]
    rules: [{schemes: [http], methods: [GET]}]
endpoints:
  - {host: db.test, port: 5432}
mode: observe
)");
  const auto text = policy->describe();
  for (const auto& part :
       {"github.com               this host only; https is inspected  (policy.yaml:1)\n",
        "  http and https, GET HEAD OPTIONS  (policy.yaml:1)\n",
        "  https only, POST, git fetch (/<owner>/<repository>/git-upload-pack)  (policy.yaml:1)\n",
        "*.example.com            example.com and its subdomains, http and https  (policy.yaml:3)\n",
        "x.test                   this host only; may resolve to the private 10.0.0.0/8  (policy.yaml:4)\n",
        "  http only, GET  (policy.yaml:6)\n", "db.test                  tcp port 5432  (policy.yaml:8)\n",
        "Observe mode: nothing public is blocked; would-be denials are logged.\n"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ((*Policy::compile({}))->describe(), "The policy is empty: all network access is blocked.\n");
}

TEST(Warnings, NameWhatIsProbablyNotMeant) {
  const auto policy = compile(R"(services: [{name: github, readonly: true}, copilot]
domains: ["*.github.io", dns.google]
endpoints: [{cidr: 192.0.2.1, port: 53, protocol: udp}, {cidr: 192.0.2.2, port: 443, protocol: udp}, {cidr: 0.0.0.0/0, port: 443}]
mode: observe
)");
  EXPECT_THAT(
      policy->warnings(),
      ::testing::IsSupersetOf(
          {HasSubstr("policy.yaml:1: github.com is allowed without limits: the rules of"),
           HasSubstr("policy.yaml:2: *.github.io: anyone can register names below it"),
           HasSubstr("policy.yaml:2: dns.google is a DNS-over-HTTPS resolver: it lets the agent look up any name"),
           HasSubstr("policy.yaml:3: 192.0.2.1/32 port 53: DNS is always answered by the gateway"),
           HasSubstr("policy.yaml:3: 192.0.2.2/32 udp port 443: QUIC passes unread"),
           HasSubstr("policy.yaml:3: 0.0.0.0/0: all traffic to every address on this port is allowed"),
           HasSubstr("mode is observe")}));
  EXPECT_TRUE(compile("domains: [a.test, \"*.b.test\"]")->warnings().empty());
  EXPECT_TRUE(compile("services: [github, npm]")->warnings().empty()) << "the catalog needs no warning";
}

}  // namespace
}  // namespace soleroute::policy::testing
