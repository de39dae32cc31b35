// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/decision_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::shared_ptr<const policy::Policy> compiled(const std::string& text) {
  const std::array<policy::PolicySource, 1> sources{{{"policy.yaml", text}}};
  return policy::Policy::compile(sources).value();
}

audit::DecisionRecord record(policy::Phase phase, bool allowed, const std::string& host) {
  audit::DecisionRecord one;
  one.phase = phase;
  one.allowed = allowed;
  one.reason = allowed ? "host_allowed" : "host_not_allowed";
  one.host = host;
  if (phase == policy::Phase::kHttp) {
    one.port = 80;
    one.scheme = "http";
    one.method = "GET";
    one.path = "/";
  }
  if (phase == policy::Phase::kTls) {
    one.port = 443;
    one.scheme = "https";
  }
  return one;
}

class DecisionSummaries : public ::testing::Test {
 protected:
  SummaryLog log_{audit::make_discarding_log()};
  std::shared_ptr<const policy::Policy> policy_ = compiled("domains: [a.example.com]\n");

  std::string summary(SummaryStyle style = {}) const { return summary_text(log_.summary(), *policy_, style); }
};

TEST_F(DecisionSummaries, CountUsesAndFallBackToLookups) {
  log_.decision(record(policy::Phase::kDns, true, "a.example.com"));
  log_.decision(record(policy::Phase::kHttp, true, "a.example.com"));
  log_.decision(record(policy::Phase::kHttp, true, "a.example.com"));
  log_.decision(record(policy::Phase::kDns, false, "b.example.com"));
  const DecisionSummary counted = log_.summary();
  ASSERT_EQ(counted.allowed.size(), 1U);
  EXPECT_EQ(counted.allowed[0].uses, 2U);
  EXPECT_EQ(counted.allowed[0].lookups, 1U);
  ASSERT_EQ(counted.denied.size(), 1U);
  EXPECT_EQ(counted.denied[0].uses, 0U);
  EXPECT_THAT(summary(), HasSubstr("2x"));
  EXPECT_THAT(summary(), ::testing::Not(HasSubstr("DNS only"))) << "the control";
}

TEST_F(DecisionSummaries, TellANameThatWasOnlyLookedUpFromOneThatWasUsed) {
  log_.decision(record(policy::Phase::kDns, true, "a.example.com"));
  EXPECT_THAT(summary(), HasSubstr("1x  DNS only\n"));
}

TEST_F(DecisionSummaries, SayHowToAllowAnAddressToo) {
  auto http = record(policy::Phase::kHttp, false, "45.33.32.1");
  http.destination = "45.33.32.1:80";
  http.reason = "endpoint_not_allowed";
  auto https = record(policy::Phase::kTls, false, "");
  https.destination = "45.33.32.1:443";
  https.reason = "no_sni";
  log_.decision(http);
  log_.decision(https);
  const std::string text = summary();
  EXPECT_THAT(text, HasSubstr("{cidr: 45.33.32.1/32, port: 80}"));
  EXPECT_THAT(text, HasSubstr("{cidr: 45.33.32.1/32, port: 443}"));
}

TEST_F(DecisionSummaries, AreMostUsedFirst) {
  for (int i = 0; i < 3; ++i) {
    for (int use = 0; use <= i; ++use) {
      log_.decision(record(policy::Phase::kHttp, false, std::string(1, static_cast<char>('x' + i)) + ".example.com"));
    }
  }
  EXPECT_EQ(log_.summary().denied[0].subject, "z.example.com");
}

TEST_F(DecisionSummaries, AreBoundedHoweverManyNamesACommandMakesUp) {
  for (std::size_t i = 0; i < SummaryLog::kMaxHosts + 500; ++i) {
    log_.decision(record(policy::Phase::kDns, false, "n" + std::to_string(i) + ".example.com"));
  }
  EXPECT_EQ(log_.summary().denied.size(), SummaryLog::kMaxHosts);
  EXPECT_EQ(log_.summary().not_kept, 500U);
  const std::string text = summary();
  EXPECT_THAT(text, HasSubstr("500 decisions about further hosts"));
  EXPECT_LT(text.size(), 4000U) << "short, whatever happened";
}

TEST_F(DecisionSummaries, LeaveOutProbesAndSayWhatIsOptional) {
  auto probe = record(policy::Phase::kDns, false, "verify.soleroute.example");
  probe.detail = "dns type A";
  log_.decision(probe);
  EXPECT_TRUE(log_.summary().empty());
  log_.decision(record(policy::Phase::kTls, false, "play.googleapis.com"));
  const policy::PolicySource source{"policy.yaml", "services: [gemini]"};
  const auto gemini = policy::Policy::compile(std::span(&source, 1)).value();
  const std::string text = summary_text(log_.summary(), *gemini, {});
  EXPECT_THAT(text, HasSubstr("not in the policy, optional for gemini (telemetry): works without"));
  EXPECT_THAT(text, HasSubstr("- {name: gemini, optional: [telemetry]}"));
}

TEST_F(DecisionSummaries, LeaveOutLookupsThatSayNothingMore) {
  log_.decision(record(policy::Phase::kDns, false, "1.0.0.127.in-addr.arpa"));
  log_.decision(record(policy::Phase::kDns, false, "_http._tcp.b.example.com"));
  EXPECT_TRUE(log_.summary().empty());
  log_.decision(record(policy::Phase::kDns, false, "b.example.com"));
  EXPECT_EQ(log_.summary().denied.size(), 1U) << "the control";
  auto packet = record(policy::Phase::kPacket, false, "b.example.com");
  packet.port = 5432;
  log_.decision(packet);
  ASSERT_EQ(log_.summary().denied.size(), 1U) << "its use says it all";
  EXPECT_EQ(log_.summary().denied[0].subject, "b.example.com:5432");
}

TEST_F(DecisionSummaries, OfNothingSayNothing) {
  EXPECT_THAT(summary(), IsEmpty());
}

TEST_F(DecisionSummaries, MergeWhatWouldAllowIntoOnePieceOfPolicy) {
  log_.decision(record(policy::Phase::kHttp, false, "b.example.com"));
  log_.decision(record(policy::Phase::kTls, false, "c.example.com"));
  log_.decision(record(policy::Phase::kDns, false, "d.example.com"));
  const std::string lines = lines_to_allow(log_.summary(), *policy_);
  EXPECT_EQ(lines, "domains:\n  - b.example.com\n  - c.example.com\n  - d.example.com\n");
  const std::array<policy::PolicySource, 2> layers{{{"policy.yaml", "domains: [a.example.com]\n"}, {"more", lines}}};
  EXPECT_EQ((*policy::Policy::compile(layers))->host_count(), 4U);
}

TEST_F(DecisionSummaries, SuggestAnEndpointForARefusedPacket) {
  const struct {
    const char* detail;
    const char* host;
    const char* expected;
  } cases[]{
      {"tcp", "", "endpoints:\n  - {cidr: 93.184.216.34/32, port: 5432}\n"},
      {"udp", "", ""},  // no line would let it pass
      {"tcp", "db.example.com", "endpoints:\n  - {host: db.example.com, port: 5432}\n"},
      {"icmp type 8", "", ""},
      {"ip protocol 47", "", ""},
  };
  for (const auto& one : cases) {
    SummaryLog log(audit::make_discarding_log());
    audit::DecisionRecord packet = record(policy::Phase::kPacket, false, one.host);
    packet.reason = "endpoint_not_allowed";
    packet.destination = "93.184.216.34:5432";
    packet.port = 5432;
    packet.detail = one.detail;
    log.decision(packet);
    EXPECT_THAT(log.summary().denied[0].subject, EndsWith(":5432")) << one.detail;
    EXPECT_EQ(lines_to_allow(log.summary(), *policy_), one.expected) << one.detail;
  }
}

TEST_F(DecisionSummaries, ShowNothingThatDrivesATerminal) {
  log_.decision(record(policy::Phase::kHttp, false, "x\x1b[31m\n\xff.example.com"));
  audit::DecisionRecord odd = record(policy::Phase::kHttp, false, "y.example.com");
  odd.reason = "\x1b]0;title\x07";
  log_.decision(odd);
  const std::string text = summary();
  for (const char c : text) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f)) << static_cast<int>(c);
}

TEST_F(DecisionSummaries, AreColouredOnlyWhenAsked) {
  log_.decision(record(policy::Phase::kHttp, false, "b.example.com"));
  EXPECT_THAT(summary(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(summary({.colour = true}), HasSubstr("\x1b[31mdenied\x1b[0m"));
}

TEST_F(DecisionSummaries, ListAFewAndCountTheRest) {
  for (int i = 0; i < 20; ++i) log_.decision(record(policy::Phase::kHttp, true, "h" + std::to_string(i) + ".test"));
  const std::string text = summary({.colour = false, .most_hosts = 5});
  EXPECT_THAT(text, HasSubstr("20 hosts allowed, 0 denied"));
  EXPECT_THAT(text, HasSubstr("and 15 more"));
}

}  // namespace
}  // namespace soleroute::gateway::jail
