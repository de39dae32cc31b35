// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace soleroute::gateway::dns {
namespace {

using sniffer::DnsType;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

base::HostName host(const std::string& text) {
  return base::HostName::parse(text).value();
}

std::shared_ptr<const RecordSet> set_of(std::initializer_list<const char*> addresses, seconds ttl,
                                        bool failed = false) {
  auto set = std::make_shared<RecordSet>();
  for (const char* text : addresses) set->addresses.push_back(base::IpAddress::parse(text).value());
  set->expires = Clock::now() + ttl;
  set->failed = failed;
  return set;
}

TEST(Cache, KeepsEachTypeApart) {
  Cache cache(64);
  cache.store(host("a.test"), DnsType::kA, set_of({"45.33.32.10"}, seconds(60)));
  EXPECT_NE(cache.find(host("a.test"), DnsType::kA), nullptr);
  EXPECT_EQ(cache.find(host("a.test"), DnsType::kAaaa), nullptr);
  EXPECT_EQ(cache.find(host("a.test"), DnsType::kTxt), nullptr);
  EXPECT_EQ(cache.find(host("b.test"), DnsType::kA), nullptr);
}

TEST(Cache, ServesNothingExpired) {
  Cache cache(64);
  cache.store(host("a.test"), DnsType::kA, set_of({"45.33.32.10"}, seconds(-1)));
  cache.store(host("a.test"), DnsType::kAaaa, set_of({}, seconds(60)));
  EXPECT_EQ(cache.find(host("a.test"), DnsType::kA), nullptr);
  EXPECT_EQ(cache.addresses(host("a.test")), nullptr);
}

TEST(Cache, JoinsTheFamiliesWhenBothAreKnown) {
  Cache cache(64);
  cache.store(host("a.test"), DnsType::kA, set_of({"45.33.32.10"}, seconds(60)));
  EXPECT_EQ(cache.addresses(host("a.test")), nullptr);
  cache.store(host("a.test"), DnsType::kAaaa, set_of({"2600::1"}, seconds(30)));
  const auto both = cache.addresses(host("a.test"));
  ASSERT_NE(both, nullptr);
  EXPECT_EQ(both->v4.size(), 1U);
  EXPECT_EQ(both->v6.size(), 1U);
  EXPECT_EQ(both->ttl, seconds(30));
  EXPECT_EQ(cache.addresses(host("a.test")), both) << "shared, not copied";
}

TEST(Cache, OneFailedFamilyLeavesTheOther) {
  Cache cache(64);
  cache.store(host("a.test"), DnsType::kA, set_of({"45.33.32.10"}, seconds(60)));
  cache.store(host("a.test"), DnsType::kAaaa, set_of({}, seconds(5), true));
  ASSERT_NE(cache.addresses(host("a.test")), nullptr);
  cache.store(host("a.test"), DnsType::kA, set_of({}, seconds(5), true));
  EXPECT_EQ(cache.addresses(host("a.test")), nullptr) << "nothing is known when both failed";
}

TEST(Cache, KeepsWhatExpiredForWhenUpstreamTellsNothing) {
  Cache cache(64);
  const auto name = host("a.test");
  cache.store(name, DnsType::kA, set_of({"45.33.32.10"}, seconds(-1)));
  const auto stale = cache.stale(name, DnsType::kA);
  ASSERT_NE(stale, nullptr);
  EXPECT_EQ(stale->addresses.size(), 1U);
  EXPECT_TRUE(stale->stale_since.has_value());
  EXPECT_LE(stale->expires, Clock::now() + Cache::kStaleTtl);
  cache.store(name, DnsType::kA, stale);
  EXPECT_EQ(cache.find(name, DnsType::kA), stale);
  cache.policy_changed();
  cache.store(name, DnsType::kA, set_of({"45.33.32.10"}, seconds(60)));
  EXPECT_EQ(cache.stale(name, DnsType::kA), nullptr) << "not expired: found, not stale";
}

TEST(Cache, TellsNothingStaleThatIsOldFailedDeniedNowOrNoName) {
  Cache cache(64);
  cache.store(host("old.test"), DnsType::kA, set_of({"45.33.32.10"}, -Cache::kMaxStale - seconds(1)));
  EXPECT_EQ(cache.stale(host("old.test"), DnsType::kA), nullptr);
  cache.store(host("failed.test"), DnsType::kA, set_of({}, seconds(-1), true));
  EXPECT_EQ(cache.stale(host("failed.test"), DnsType::kA), nullptr);
  auto gone = std::make_shared<RecordSet>();
  gone->name_exists = false;
  gone->expires = Clock::now() - seconds(1);
  cache.store(host("gone.test"), DnsType::kA, gone);
  EXPECT_EQ(cache.stale(host("gone.test"), DnsType::kA), nullptr);
  EXPECT_EQ(cache.stale(host("never.test"), DnsType::kA), nullptr);
  cache.store(host("a.test"), DnsType::kA, set_of({"45.33.32.10"}, seconds(-1)));
  cache.store(host("a.test"), DnsType::kAaaa, set_of({}, seconds(-1)));
  EXPECT_NE(cache.stale(host("a.test"), DnsType::kAaaa), nullptr) << "no such record is an answer, too";
  cache.policy_changed();
  EXPECT_EQ(cache.stale(host("a.test"), DnsType::kA), nullptr) << "it came under another policy";
}

TEST(Cache, KeepsNoLongSetOfTheZonesChoice) {
  Cache cache(64);
  const auto texts_of = [](std::size_t bytes) {
    auto set = std::make_shared<RecordSet>();
    set->texts.emplace_back(bytes);
    set->expires = Clock::now() + seconds(60);
    return set;
  };
  cache.store(host("short.test"), DnsType::kTxt, texts_of(200));
  cache.store(host("long.test"), DnsType::kTxt, texts_of(Cache::kMaxWeight));
  EXPECT_NE(cache.find(host("short.test"), DnsType::kTxt), nullptr) << "control";
  EXPECT_EQ(cache.find(host("long.test"), DnsType::kTxt), nullptr);
}

TEST(Cache, StaysWithinItsBound) {
  Cache cache(160);
  for (int i = 0; i < 5000; ++i) {
    cache.store(host("n" + std::to_string(i) + ".wild.test"), DnsType::kA, set_of({}, seconds(60)));
  }
  EXPECT_LE(cache.size(), 160U);
  EXPECT_NE(cache.find(host("n4999.wild.test"), DnsType::kA), nullptr);
}

}  // namespace
}  // namespace soleroute::gateway::dns
