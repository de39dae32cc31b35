// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/decision_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace soleroute::gateway::audit {
namespace {

std::vector<nlohmann::json> objects(const std::string& lines) {
  std::vector<nlohmann::json> all;
  for (std::size_t at = 0; at < lines.size();) {
    const auto end = lines.find('\n', at);
    all.push_back(nlohmann::json::parse(lines.substr(at, end - at)));
    at = end + 1;
  }
  return all;
}

DecisionRecord denied(std::string host) {
  DecisionRecord record;
  record.host = std::move(host);
  record.reason = "host_not_allowed";
  return record;
}

TEST(DecisionFeed, GivesANewReaderTheLatestDecisionsInOrderAndThenEachOne) {
  DecisionFeed feed;
  const auto count = DecisionFeed::kRemembered + 3;
  for (std::size_t i = 0; i < count; ++i) feed.decision(denied("h" + std::to_string(i) + ".test"));
  const auto reader = feed.read([] {});
  const auto first = objects(reader->take());
  ASSERT_EQ(first.size(), DecisionFeed::kRemembered);
  EXPECT_EQ(first.front()["decision"]["host"], "h3.test");
  EXPECT_EQ(first.back()["decision"]["host"], "h" + std::to_string(count - 1) + ".test");
  EXPECT_EQ(first.back()["decision"]["type"], "decision") << "the log's own object";
  EXPECT_EQ(reader->take(), "");
  feed.decision(denied("new.test"));
  EXPECT_EQ(objects(reader->take()).front()["decision"]["host"], "new.test");
}

TEST(DecisionFeed, TellsOfNewsOnceUntilItIsTaken) {
  DecisionFeed feed;
  int told = 0;
  const auto reader = feed.read([&] { ++told; });
  EXPECT_EQ(told, 0);
  feed.say("{}\n");
  feed.say("{}\n");
  EXPECT_EQ(told, 1);
  EXPECT_EQ(reader->take(), "{}\n{}\n");
  feed.say("{}\n");
  EXPECT_EQ(told, 2);
}

TEST(DecisionFeed, CountsWhatASlowReaderLosesAndGoesOnAfterwards) {
  DecisionFeed feed;
  const auto slow = feed.read([] {});
  const std::string line = std::string(DecisionFeed::kMaxUnreadBytes / 4, ' ') + "\n";
  for (int i = 0; i < 5; ++i) feed.say(line);
  feed.say("{\"small\":1}\n");  // would fit, but there is a gap before it
  const std::string taken = slow->take();
  EXPECT_LE(taken.size(), DecisionFeed::kMaxUnreadBytes + 100);
  EXPECT_THAT(taken, ::testing::EndsWith("{\"lost\":3}\n"));
  feed.say("{\"after\":1}\n");
  EXPECT_EQ(slow->take(), "{\"after\":1}\n");
}

TEST(DecisionFeed, HasABoundOfReaders) {
  DecisionFeed feed;
  std::vector<std::unique_ptr<DecisionFeed::Reader>> readers;
  for (std::size_t i = 0; i < DecisionFeed::kMaxReaders; ++i) readers.push_back(feed.read([] {}));
  EXPECT_NE(readers.back(), nullptr);
  EXPECT_EQ(feed.read([] {}), nullptr);
  readers.pop_back();
  EXPECT_NE(feed.read([] {}), nullptr);
}

TEST(DecisionFeed, IsFedFromManyThreads) {
  DecisionFeed feed;
  const auto reader = feed.read([] {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&feed] {
      for (int n = 0; n < 100; ++n) feed.decision(denied("a.test"));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(objects(reader->take()).size(), 400U);
}

}  // namespace
}  // namespace soleroute::gateway::audit
