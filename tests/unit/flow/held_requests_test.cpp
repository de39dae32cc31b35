// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/held_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace soleroute::gateway::flow {
namespace {

using ::testing::HasSubstr;
using Verdict = HeldRequests::Verdict;
constexpr std::chrono::milliseconds kPatience{60000};

audit::DecisionRecord denied(std::string host, std::uint8_t client = 7) {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kTls;
  record.host = std::move(host);
  record.port = 443;
  record.client = base::IpAddress::v4({10, 77, 0, client});
  record.reason = policy::to_string(policy::Reason::kHostNotAllowed);
  return record;
}

struct Fixture {
  boost::asio::io_context io;
  std::vector<std::string> said;
  std::vector<std::string> asked;
  HeldRequests held{kPatience,
                    {.say = [this](std::string_view line) { said.emplace_back(line); },
                     .asked = [this](const HeldRequests::Request& request) { asked.push_back(request.item); }}};
};

// Each line is written with the time at which it is written.
std::string without_time(std::string line) {
  constexpr std::string_view kKey = "\"ts\":\"";
  const auto at = line.find(kKey);
  return at == std::string::npos ? line : line.erase(at, line.find(',', at) - at);
}

TEST(HeldRequests, SayWhatWaitsAndWhatItWasAnswered) {
  Fixture f;
  const auto waiting = f.held.begin(f.io, denied("a.test"));
  ASSERT_NE(waiting, nullptr);
  EXPECT_THAT(f.said.back(), ::testing::StartsWith(R"({"held":{"id":1,"item":"a.test","decision":{"ts":)"));
  EXPECT_THAT(f.said.back(), ::testing::EndsWith("\"left_s\":60}}\n"));
  EXPECT_EQ(without_time(f.held.lines()), without_time(f.said.back()));
  EXPECT_FALSE(f.held.verdict_of(*waiting).has_value());
  EXPECT_TRUE(f.held.settle(1, Verdict::kOnce));
  EXPECT_EQ(f.held.verdict_of(*waiting), Verdict::kOnce);
  EXPECT_EQ(f.said.back(), "{\"settled\":{\"id\":1,\"verdict\":\"once\"}}\n");
  EXPECT_FALSE(f.held.settle(1, Verdict::kOnce)) << "only one answer counts";
  EXPECT_FALSE(f.held.find(1).has_value());
}

TEST(HeldRequests, AskACommandOnceAboutTheSameItemOfAClient) {
  Fixture f;
  const auto first = f.held.begin(f.io, denied("a.test"));
  const auto again = f.held.begin(f.io, denied("a.test"));
  const auto other = f.held.begin(f.io, denied("a.test", 8));
  EXPECT_EQ(f.asked, (std::vector<std::string>{"a.test", "a.test"})) << "one for each client";
}

TEST(HeldRequests, RefuseTheSameItemOfTheSameClientTogether) {
  Fixture f;
  const auto first = f.held.begin(f.io, denied("a.test"));
  const auto again = f.held.begin(f.io, denied("a.test"));
  const auto other_host = f.held.begin(f.io, denied("b.test"));
  const auto other_client = f.held.begin(f.io, denied("a.test", 8));
  EXPECT_TRUE(f.held.settle(1, Verdict::kNo));
  EXPECT_EQ(f.held.verdict_of(*again), Verdict::kNo);
  EXPECT_FALSE(f.held.verdict_of(*other_host).has_value());
  EXPECT_FALSE(f.held.verdict_of(*other_client).has_value());
  EXPECT_EQ(f.held.begin(f.io, denied("a.test")), nullptr) << "it was refused a moment ago";
  EXPECT_NE(f.held.begin(f.io, denied("c.test")), nullptr);
}

TEST(HeldRequests, HaveABoundForEachClientAndForAll) {
  Fixture f;
  std::vector<std::shared_ptr<HeldRequests::Waiting>> kept;
  for (std::size_t i = 0; i < HeldRequests::kMostOfOneClient; ++i) {
    kept.push_back(f.held.begin(f.io, denied("h" + std::to_string(i) + ".test")));
    ASSERT_NE(kept.back(), nullptr);
  }
  EXPECT_EQ(f.held.begin(f.io, denied("more.test")), nullptr);
  for (std::uint8_t client = 8; f.held.size() < HeldRequests::kMost; ++client) {
    for (std::size_t i = 0; i < HeldRequests::kMostOfOneClient && f.held.size() < HeldRequests::kMost; ++i) {
      kept.push_back(f.held.begin(f.io, denied("h" + std::to_string(i) + ".test", client)));
      ASSERT_NE(kept.back(), nullptr);
    }
  }
  EXPECT_EQ(f.held.begin(f.io, denied("more.test", 250)), nullptr);
  f.held.end(kept.front(), Verdict::kTimeout);
  EXPECT_NE(f.held.begin(f.io, denied("more.test", 250)), nullptr);
}

TEST(HeldRequests, AreAllDeniedAtTheEnd) {
  Fixture f;
  const auto waiting = f.held.begin(f.io, denied("a.test"));
  f.held.close();
  EXPECT_EQ(f.held.verdict_of(*waiting), Verdict::kNo);
  EXPECT_EQ(f.held.begin(f.io, denied("b.test")), nullptr);
}

TEST(HeldRequests, NameTheItemThatWouldAllowThem) {
  audit::DecisionRecord record = denied("a.test");
  EXPECT_EQ(item_to_allow(record), "a.test");
  record.port = 8443;
  EXPECT_EQ(item_to_allow(record), "a.test:8443");
  record.host = "2001:db8::1";
  EXPECT_EQ(item_to_allow(record), "[2001:db8::1]:8443");
  record.port = 80;
  EXPECT_EQ(item_to_allow(record), "[2001:db8::1]:80") << "an address needs its port";
  record = denied("a.test");
  record.phase = policy::Phase::kHttp;
  record.scheme = "https";
  record.path = "/v1/x";
  EXPECT_EQ(item_to_allow(record), "a.test") << "the host is what is missing";
  record.reason = policy::to_string(policy::Reason::kNoRuleMatched);
  EXPECT_EQ(item_to_allow(record), "https://a.test/v1/x");
  record.path = "/";
  EXPECT_EQ(item_to_allow(record), "a.test") << "\"https://a.test/\" would allow the whole host and not say so";
}

TEST(HeldRequests, NeverNameAServiceThatAClientSendsAsItsHost) {
  EXPECT_EQ(item_to_allow(denied("npm")), "https://npm/");
}

TEST(HeldRequests, AreAskedAboutOnlyWhereALineIsMissing) {
  using policy::Reason;
  for (const Reason reason : {Reason::kHostNotAllowed, Reason::kNoRuleMatched, Reason::kEndpointNotAllowed}) {
    EXPECT_TRUE(may_be_asked({.reason = reason}));
  }
  for (const Reason reason : {Reason::kNameMismatch, Reason::kInvalidName, Reason::kNoSni, Reason::kPrivateAddress,
                              Reason::kMalformed, Reason::kSpecialUseName, Reason::kOverrideHeader,
                              Reason::kHeaderNotPermitted, Reason::kInspectionNeeded, Reason::kEchNotPermitted}) {
    EXPECT_FALSE(may_be_asked({.reason = reason})) << policy::to_string(reason);
  }
}

}  // namespace
}  // namespace soleroute::gateway::flow
