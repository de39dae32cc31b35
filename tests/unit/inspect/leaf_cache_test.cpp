// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/leaf_cache.h"

#include <gtest/gtest.h>

namespace soleroute::gateway::inspect {
namespace {

const TimePoint kNow = std::chrono::system_clock::now();

LeafCache::Entry entry(TimePoint until = kNow + std::chrono::hours(1)) {
  return {std::make_shared<const Leaf>(), kNow, until};
}

TEST(LeafCache, ForgetsTheLeastRecentlyUsedFirst) {
  LeafCache cache(2);
  cache.put("a", entry());
  cache.put("b", entry());
  EXPECT_NE(cache.find("a", kNow), nullptr);
  cache.put("c", entry());
  EXPECT_NE(cache.find("a", kNow), nullptr);
  EXPECT_EQ(cache.find("b", kNow), nullptr);
  EXPECT_NE(cache.find("c", kNow), nullptr);
  EXPECT_EQ(cache.size(), 2U);
}

TEST(LeafCache, GivesNothingOutBeforeOrBehindItsTime) {
  LeafCache cache(2);
  cache.put("a", entry());
  EXPECT_EQ(cache.find("a", kNow - std::chrono::seconds(1)), nullptr) << "the clock was set back";
  EXPECT_NE(cache.find("a", kNow), nullptr);
  EXPECT_EQ(cache.find("a", kNow + std::chrono::hours(1)), nullptr);
}

TEST(LeafCache, ReplacesWhatItHasOfAName) {
  LeafCache cache(2);
  cache.put("a", entry());
  const auto second = entry();
  cache.put("a", second);
  EXPECT_EQ(cache.find("a", kNow), second.leaf);
  EXPECT_EQ(cache.size(), 1U);
}

}  // namespace
}  // namespace soleroute::gateway::inspect
