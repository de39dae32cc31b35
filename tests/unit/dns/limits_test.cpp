// What keeps one client, one flood or one bad server from hurting the rest: each asked with a clock of the test's own.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "gateway/dns/client_limits.h"
#include "gateway/dns/repeat_filter.h"
#include "gateway/dns/upstream_order.h"

namespace soleroute::gateway::dns {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = RepeatFilter::Verdict;
using Moment = std::chrono::steady_clock::time_point;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Moment kStart = Moment{} + std::chrono::hours(1);
base::IpAddress address(const std::string& text) {
  return base::IpAddress::parse(text).value();
}

TEST(ClientLimits, BoundsWhatOneClientWaitsFor) {
  ClientLimits limits;
  const auto agent = address("10.77.0.10");
  for (std::size_t i = 0; i < ClientLimits::kWaitingPerClient; ++i) {
    EXPECT_EQ(limits.admit(agent, kStart), ClientLimits::Verdict::kAdmitted);
  }
  EXPECT_EQ(limits.admit(agent, kStart), ClientLimits::Verdict::kTooManyWaiting);
  EXPECT_EQ(limits.admit(address("10.77.0.11"), kStart), ClientLimits::Verdict::kAdmitted) << "others are not hurt";
  limits.done(agent);
  EXPECT_EQ(limits.admit(agent, kStart), ClientLimits::Verdict::kAdmitted);
}

TEST(ClientLimits, BoundsNewQuestionsASecond) {
  ClientLimits limits;
  const auto agent = address("10.77.0.10");
  const auto burst = [&](Moment now) {
    int admitted = 0;
    while (limits.admit(agent, now) == ClientLimits::Verdict::kAdmitted) {
      limits.done(agent);
      ++admitted;
    }
    return admitted;
  };
  EXPECT_EQ(burst(kStart), 400);
  EXPECT_EQ(limits.admit(agent, kStart), ClientLimits::Verdict::kTooFast);
  EXPECT_EQ(burst(kStart + seconds(1)), 100);
  EXPECT_EQ(burst(kStart + seconds(60)), 400);
}

audit::DecisionRecord denial(const std::string& host, const std::string& client = "10.77.0.10") {
  audit::DecisionRecord record;
  record.host = host;
  record.reason = "host_not_allowed";
  record.client = address(client);
  return record;
}

TEST(RepeatFilter, WritesTheFirstOfAKindAndCountsTheRest) {
  RepeatFilter filter;
  EXPECT_EQ(filter.admit(denial("evil.test"), kStart), Verdict::kWriteNow);
  EXPECT_EQ(filter.admit(denial("evil.test"), kStart + seconds(1)), Verdict::kCounted);
  EXPECT_EQ(filter.admit(denial("evil.test"), kStart + seconds(9)), Verdict::kCounted);
  EXPECT_EQ(filter.admit(denial("other.test"), kStart + seconds(1)), Verdict::kWriteNow);
  EXPECT_EQ(filter.admit(denial("evil.test", "10.77.0.11"), kStart + seconds(1)), Verdict::kWriteNow)
      << "another client";
  EXPECT_TRUE(filter.holding());
  EXPECT_THAT(filter.due(kStart + seconds(9)), IsEmpty());
  const auto told = filter.due(kStart + seconds(10));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].host, "evil.test");
  EXPECT_EQ(told[0].detail, "2 more like it");
  EXPECT_FALSE(filter.holding());
  EXPECT_THAT(filter.due(kStart + seconds(30)), IsEmpty()) << "each count is told once";
  EXPECT_EQ(filter.admit(denial("evil.test"), kStart + seconds(30)), Verdict::kWriteNow);
}

TEST(RepeatFilter, BoundsDifferentDenialsOfOneClient) {
  RepeatFilter filter;
  int written = 0;
  for (int i = 0; i < 1000; ++i)
    written += filter.admit(denial(std::to_string(i) + ".evil.test"), kStart) == Verdict::kWriteNow ? 1 : 0;
  EXPECT_EQ(written, 100);
  EXPECT_EQ(filter.admit(denial("evil.test", "10.77.0.11"), kStart), Verdict::kWriteNow)
      << "another client has its own budget";
  const auto told = filter.due(kStart + seconds(1));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].detail, "900 denials of this client were not logged");
  EXPECT_EQ(filter.admit(denial("later.evil.test"), kStart + seconds(2)), Verdict::kWriteNow);
}

TEST(UpstreamOrder, KeepsTheOrderGivenUntilOneFails) {
  UpstreamOrder order(3);
  EXPECT_THAT(order.order(kStart), ElementsAre(0, 1, 2));
  order.failed(0, kStart);
  EXPECT_THAT(order.order(kStart), ElementsAre(1, 2, 0));
  order.failed(1, kStart + seconds(1));
  EXPECT_THAT(order.order(kStart + seconds(2)), ElementsAre(2, 0, 1));
  EXPECT_THAT(order.order(kStart + UpstreamOrder::kFirstRest), ElementsAre(0, 2, 1)) << "tried again after a rest";
  order.succeeded(1, kStart);
  EXPECT_THAT(order.order(kStart + UpstreamOrder::kFirstRest), ElementsAre(0, 1, 2));
}

TEST(UpstreamOrder, RestsLongerEachTimeUpToABound) {
  UpstreamOrder order(2);
  Moment now = kStart;
  std::vector<long> rests;
  for (int i = 0; i < 8; ++i) {
    order.failed(0, now);
    order.failed(0, now + milliseconds(1));  // a question that was under way: not one more failure
    const Moment began = now;
    while (order.order(now).front() != 0) now += seconds(1);
    rests.push_back(std::chrono::duration_cast<seconds>(now - began).count());
  }
  EXPECT_THAT(rests, ElementsAre(5, 10, 20, 40, 80, 120, 120, 120));
}

base::HostName named(const char* text) {
  return base::HostName::parse(text).value();
}

TEST(UpstreamOrder, RestsAServerThatIsSilentAboutSeveralZones) {
  UpstreamOrder order(2);
  order.succeeded(0, kStart);
  order.silent(0, named("a.wild.test"), kStart + seconds(1));
  EXPECT_THAT(order.order(kStart + seconds(1)), ElementsAre(0, 1));
  order.silent(0, named("allowed.test"), kStart + seconds(1));
  EXPECT_THAT(order.order(kStart + seconds(1)), ElementsAre(1, 0));
  EXPECT_THAT(order.order(kStart + seconds(6)), ElementsAre(0, 1)) << "tried again after a rest";
}

TEST(UpstreamOrder, IsNotChangedByNamesOfOneZoneWhileOthersAreAnswered) {
  UpstreamOrder order(2);
  for (int i = 0; i < 100; ++i) {
    const auto now = kStart + seconds(i);
    if (i % 5 == 0) order.succeeded(0, now);
    for (int j = 0; j < 10; ++j) {
      const auto name = "s" + std::to_string(10 * i + j) + ".wild.test";
      order.silent(0, named(name.c_str()), now);
    }
    ASSERT_THAT(order.order(now), ElementsAre(0, 1)) << i;
  }
}

TEST(UpstreamOrder, RestsAServerForAMomentThatNothingButOneZoneIsAskedOf) {
  UpstreamOrder order(2);
  for (int i = 0; i < 20; ++i) {
    const auto now = kStart + seconds(10 * i);
    for (int j = 0; j < UpstreamOrder::kSilencesOfOneZone; ++j) order.silent(0, named("api.allowed.test"), now);
    EXPECT_THAT(order.order(now), ElementsAre(1, 0)) << i;
    EXPECT_THAT(order.order(now + UpstreamOrder::kFirstRest), ElementsAre(0, 1)) << i << ": never longer";
  }
}

}  // namespace
}  // namespace soleroute::gateway::dns
