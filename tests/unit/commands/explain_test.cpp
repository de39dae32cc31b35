// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "gateway/commands/command.h"
#include "tests/support/golden.h"

namespace soleroute::gateway::commands {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::shared_ptr<const policy::Policy> policy_of(std::string text) {
  const std::vector<policy::PolicySource> sources{{"policy.yaml", std::move(text)}};
  auto policy = policy::Policy::compile(sources);
  EXPECT_TRUE(policy) << policy.error().message;
  return *policy;
}

constexpr const char* kPolicy =
    "domains:\n"
    "  - allowed.test\n"
    "  - {host: api.test, rules: [{methods: [GET], path: {prefix: /v1/}}]}\n";

struct Answer {
  int exit_code;
  std::vector<std::string> lines;
};

Answer ask_lines(const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  const int exit_code =
      explain_lines({.urls = {}, .method = "GET", .format = ExplainFormat::kJson}, *policy_of(kPolicy), in, out);
  Answer answer{exit_code, {}};
  std::istringstream lines(out.str());
  for (std::string line; std::getline(lines, line);) answer.lines.push_back(line);
  return answer;
}

TEST(Explain, AnswersEachLineWithADecisionInOrder) {
  const auto answer = ask_lines(
      "{\"url\": \"https://allowed.test/a?token=secret\"}\n"
      "\n"
      "{\"url\": \"http://api.test/v1/x\", \"method\": \"POST\"}\r\n"
      "{\"host\": \"192.0.2.1\", \"port\": 22, \"protocol\": \"udp\"}");
  EXPECT_EQ(answer.exit_code, kExitNo);
  ASSERT_EQ(answer.lines.size(), 3u);
  EXPECT_EQ(
      answer.lines[0],
      R"({"type":"decision","phase":"tls","action":"allowed","reason":"host_allowed","host":"allowed.test",)"
      R"("scheme":"https","port":443,"method":"GET","path":"/a","matched_host":"allowed.test","rule":"policy.yaml:2"})");
  EXPECT_EQ(
      answer.lines[1],
      R"({"type":"decision","phase":"http","action":"blocked","reason":"no_rule_matched","host":"api.test",)"
      R"("scheme":"http","port":80,"method":"POST","path":"/v1/x","matched_host":"api.test","rule":"policy.yaml:3"})");
  EXPECT_EQ(answer.lines[2],
            R"({"type":"decision","phase":"packet","action":"blocked","reason":"endpoint_not_allowed",)"
            R"("host":"192.0.2.1","port":22})");
}

TEST(Explain, ExitsWithZeroIfEverythingIsAllowed) {
  EXPECT_EQ(ask_lines("{\"url\": \"https://allowed.test/\"}\n{\"url\": \"http://api.test/v1/\"}\n").exit_code,
            kExitDone);
  EXPECT_EQ(ask_lines("").exit_code, kExitDone);
}

TEST(Explain, AnswersWhatIsNoQuestionWithAnErrorAndGoesOn) {
  for (const std::string line :
       {"x", "[]", "{}", "{\"url\": 1}", "{\"url\": \"\"}", "{\"uri\": \"https://allowed.test/\"}",
        "{\"url\": \"a\", \"host\": \"b\"}", "{\"host\": \"a\"}", "{\"host\": \"a\", \"port\": 0}",
        "{\"host\": \"a\", \"port\": 65536}", "{\"host\": \"a\", \"port\": \"22\"}",
        "{\"host\": \"a\", \"port\": 22, \"protocol\": \"icmp\"}", "{\"url\": \"ftp://a.test/\"}",
        "{\"url\": \"https://a.test:99999/\"}", "{\"url\": \"https://allowed.test/\"} x"}) {
    const auto answer = ask_lines(line + "\n{\"url\": \"https://allowed.test/\"}\n");
    EXPECT_EQ(answer.exit_code, kExitUsage) << line;
    ASSERT_EQ(answer.lines.size(), 2u) << line;
    EXPECT_THAT(answer.lines[0], StartsWith(R"({"type":"error","line":1,"error":")")) << line;
    EXPECT_THAT(answer.lines[1], HasSubstr("host_allowed")) << line;
  }
}

TEST(Explain, EscapesWhatItRepeats) {
  const auto answer = ask_lines("{\"url\": \"http://api.test/\\u001b[2J\\n\", \"method\": \"\\u202e\\n\"}\n");
  ASSERT_EQ(answer.lines.size(), 1u);
  EXPECT_TRUE(nlohmann::json::accept(answer.lines[0]));
  for (const char c : answer.lines[0]) EXPECT_TRUE(c >= ' ' && c < 0x7f);
}

std::string explained(const std::string& url, std::string_view policy = kPolicy, AddressesOf addresses = {}) {
  std::ostringstream out;
  const int exit_code =
      explain_urls({.urls = {url}, .addresses_of = std::move(addresses)}, *policy_of(std::string(policy)), out);
  EXPECT_EQ(exit_code == kExitDone, out.str().starts_with("allowed")) << out.str();
  return out.str();
}

TEST(Explain, TellsPeopleWhyAndHowToAllow) {
  std::ostringstream out;
  const auto policy = policy_of(std::string(kPolicy) + "endpoints: [{host: db.test, port: 5432}]\n");
  const ExplainOptions options{.urls = {"https://denied.test/", "https://allowed.test/", "https://api.test/v2/",
                                        "tcp://db.test:5432", "tcp://db.test:22", "http://192.0.2.1/",
                                        "https://gateway.internal/", "http://127.0.0.1:3000/", "https://localhost/"}};
  EXPECT_EQ(explain_urls(options, *policy, out), kExitNo);
  soleroute::testing::expect_golden("explain.txt", out.str());
}

TEST(Explain, AgreesWithServingOnGatewayInternal) {
  for (const char* url : {"https://gateway.internal/", "http://gateway.internal/policy"}) {
    EXPECT_THAT(explained(url), StartsWith("allowed")) << url;
  }
  EXPECT_THAT(explained("tcp://gateway.internal:22"), StartsWith("blocked")) << "another port is no page";
  EXPECT_THAT(explained("https://other.internal/"), StartsWith("blocked")) << "control";
}

TEST(Explain, ResolvesNamesIfAsked) {
  const auto at = [](std::vector<std::string> texts) {
    return [texts = std::move(texts)](const std::string& /*host*/) -> base::Result<std::vector<base::IpAddress>> {
      std::vector<base::IpAddress> out;
      for (const auto& text : texts) out.push_back(base::IpAddress::parse(text).value());
      return out;
    };
  };
  const std::string inside = explained("https://allowed.test/", kPolicy, at({"10.1.2.3", "fd00::3"}));
  EXPECT_THAT(inside,
              StartsWith("blocked  https://allowed.test/\nallowed.test resolves to a private address (10.1.2.3). "
                         "To allow it, list 10.1.2.3 under `addresses:`.\n"));
  EXPECT_THAT(inside, HasSubstr("domains:\n  - {host: allowed.test, addresses: [10.1.2.3/32]}\n"));
  EXPECT_THAT(explained("https://allowed.test/", kPolicy, at({"10.1.2.3", "45.33.32.1"})), StartsWith("allowed"));
  const std::string listed = "domains: [{host: allowed.test, addresses: [10.0.0.0/8]}]";
  EXPECT_THAT(explained("https://allowed.test/", listed, at({"10.1.2.3"})), StartsWith("allowed")) << "control";
  EXPECT_THAT(explained("https://denied.test/", kPolicy, at({"10.1.2.3"})), HasSubstr("  - denied.test\n"));
}

TEST(Explain, SaysOfAnObservingPolicyOnlyOfWhatPassesThatItPasses) {
  const auto policy = policy_of("mode: observe");
  const auto passes = [&](const char* url) {
    std::ostringstream out;
    EXPECT_EQ(explain_urls({.urls = {url}}, *policy, out), kExitNo) << url;
    return out.str().contains("Observe mode: ");
  };
  for (const char* url : {"https://a.test/", "http://a.test/x", "tcp://db.test:5432", "tcp://45.33.32.1:22"}) {
    EXPECT_TRUE(passes(url)) << url;
  }
  for (const char* url : {"udp://45.33.32.1:443", "udp://45.33.32.1:123", "http://a..b/", "ftp://a.test/",
                          "http://10.0.0.1/", "tcp://10.0.0.1:22", "http://45.33.32.1/", "tcp://45.33.32.1:443"}) {
    EXPECT_FALSE(passes(url)) << url;
  }
}

TEST(Explain, DecidesRequestsInsideHttps) {
  std::ostringstream out;
  EXPECT_EQ(explain_urls({.urls = {"https://api.test/v1/x"}}, *policy_of(kPolicy), out), kExitDone);
  EXPECT_THAT(out.str(), HasSubstr("Decided by: policy.yaml:3 (api.test)"));
  EXPECT_EQ(explain_urls({.urls = {"https://api.test/v2/x"}}, *policy_of(kPolicy), out), kExitNo);
  EXPECT_THAT(out.str(), HasSubstr("Reason: no_rule_matched"));
}

TEST(Explain, NamesAHeaderThatNamesAnotherPath) {
  std::ostringstream out;
  EXPECT_EQ(explain_urls({.urls = {"https://api.test/v1/x"}, .method = "GET", .headers = {"accept", "x-original-url"}},
                         *policy_of(kPolicy), out),
            kExitNo);
  EXPECT_THAT(out.str(), HasSubstr("its header X-Original-URL can change the method or path"));
  EXPECT_THAT(out.str(), HasSubstr("Reason: override_header"));
}

}  // namespace
}  // namespace soleroute::gateway::commands
