// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/reverse_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace soleroute::gateway::dns {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

base::HostName host(const std::string& text) {
  return base::HostName::parse(text).value();
}
base::IpAddress address(const std::string& text) {
  return base::IpAddress::parse(text).value();
}

TEST(ReverseNames, KnowsWhereANameLeadsAndNothingElse) {
  ReverseNames book;
  book.remember(host("allowed.test"), {address("45.33.32.10"), address("2600::1")}, Clock::now() + seconds(60));
  EXPECT_TRUE(book.leads_to(host("allowed.test"), address("45.33.32.10")));
  EXPECT_TRUE(book.leads_to(host("allowed.test"), address("2600::1")));
  EXPECT_FALSE(book.leads_to(host("allowed.test"), address("45.33.32.66")));
  EXPECT_FALSE(book.leads_to(host("other.test"), address("45.33.32.10")));
}

TEST(ReverseNames, FamiliesAndRotationsAddUp) {
  ReverseNames book;
  book.remember(host("allowed.test"), {address("45.33.32.10")}, Clock::now() + seconds(60));
  book.remember(host("allowed.test"), {address("2600::1")}, Clock::now() + seconds(60));
  EXPECT_TRUE(book.leads_to(host("allowed.test"), address("45.33.32.10")));
  EXPECT_TRUE(book.leads_to(host("allowed.test"), address("2600::1")));
}

TEST(ReverseNames, ForgetsSomeTimeAfterTheTimeToLive) {
  ReverseNames book;
  book.remember(host("a.test"), {address("45.33.32.10")}, Clock::now() - seconds(10));
  EXPECT_TRUE(book.leads_to(host("a.test"), address("45.33.32.10"))) << "clients keep answers a little longer";
  book.remember(host("b.test"), {address("45.33.32.11")}, Clock::now() - ReverseNames::kGrace - seconds(1));
  EXPECT_FALSE(book.leads_to(host("b.test"), address("45.33.32.11")));
  EXPECT_THAT(book.names_of(address("45.33.32.11")), IsEmpty());
}

TEST(ReverseNames, AShorterAnswerDoesNotTakeBackALongerOne) {
  ReverseNames book;
  book.remember(host("a.test"), {address("45.33.32.10")}, Clock::now() + seconds(60));
  book.remember(host("a.test"), {address("45.33.32.10")}, Clock::now() - ReverseNames::kGrace - seconds(1));
  EXPECT_TRUE(book.leads_to(host("a.test"), address("45.33.32.10")));
}

TEST(ReverseNames, NamesTheNewestFirst) {
  ReverseNames book;
  for (const char* name : {"a.test", "b.test", "a.test"}) {
    book.remember(host(name), {address("45.33.32.20")}, Clock::now() + seconds(60));
  }
  EXPECT_THAT(book.names_of(address("45.33.32.20")), ElementsAre(host("a.test"), host("b.test")));
  EXPECT_THAT(book.names_of(address("45.33.32.21")), IsEmpty());
}

TEST(ReverseNames, TellsAPacketsNameByWhoAsked) {
  ReverseNames book;
  const auto agent = address("10.77.0.10");
  const auto other = address("10.77.0.11");
  for (const char* name : {"a.test", "b.test"}) {
    book.remember(host(name), {address("45.33.32.20")}, Clock::now() + seconds(60));
  }
  book.asked(agent, host("a.test"), false);
  book.asked(other, host("b.test"), false);
  EXPECT_EQ(book.looked_up_as(agent, address("45.33.32.20")), host("a.test"));
  EXPECT_EQ(book.looked_up_as(other, address("45.33.32.20")), host("b.test"));
  book.asked(agent, host("b.test"), false);
  EXPECT_EQ(book.looked_up_as(agent, address("45.33.32.20")), host("b.test"));
  EXPECT_EQ(book.looked_up_as(agent, address("45.33.32.99")), std::nullopt);
  EXPECT_EQ(book.looked_up_as(address("10.77.0.12"), address("45.33.32.20")), std::nullopt);
}

TEST(ReverseNames, TheGatewaysOwnAddressStandsForTheLastDeniedName) {
  ReverseNames book;
  const auto agent = address("10.77.0.10");
  const auto own = address("10.77.0.2");
  book.set_own_addresses({own});
  book.asked(agent, host("evil.test"), true);
  book.asked(agent, host("allowed.test"), false);
  EXPECT_EQ(book.looked_up_as(agent, own), host("evil.test"));
  EXPECT_EQ(book.looked_up_as(agent, address("45.33.32.66")), std::nullopt) << "a denied name leads nowhere else";
  EXPECT_FALSE(book.leads_to(host("evil.test"), own)) << "nor is the gateway an origin";
}

TEST(ReverseNames, StaysWithinItsBound) {
  ReverseNames book(64);
  for (int i = 0; i < 10000; ++i) {
    book.remember(host("n" + std::to_string(i) + ".test"), {address("45.33.32.10")}, Clock::now() + seconds(60));
    book.asked(address("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)), host("x.test"), true);
  }
  int kept = 0;
  for (int i = 0; i < 10000; ++i) {
    kept += book.leads_to(host("n" + std::to_string(i) + ".test"), address("45.33.32.10")) ? 1 : 0;
  }
  EXPECT_LE(kept, 64);
  EXPECT_GE(kept, 16);
  EXPECT_TRUE(book.leads_to(host("n9999.test"), address("45.33.32.10")));
  EXPECT_LE(book.names_of(address("45.33.32.10")).size(), 32U);
}

TEST(ReverseNames, NamesOfEndpointsOutlastAllOthers) {
  ReverseNames book;
  book.keep({host("db.test"), host("cache.test")});
  const auto shared = address("45.33.32.20");
  book.remember(host("db.test"), {shared}, Clock::now() + seconds(1));
  for (int i = 0; i < 200; ++i) {
    book.remember(host("n" + std::to_string(i) + ".test"), {shared}, Clock::now() + seconds(300));
  }
  const auto names = book.names_of(shared);
  EXPECT_THAT(names, ::testing::Contains(host("db.test")));
  EXPECT_EQ(names.size(), 33U) << "the others within their bound";
  EXPECT_EQ(names.front(), host("n199.test")) << "of which the newest is one";
  EXPECT_TRUE(book.is_kept(host("cache.test")));
  book.keep({});
  for (int i = 0; i < 40; ++i) {
    book.remember(host("m" + std::to_string(i) + ".test"), {shared}, Clock::now() + seconds(300));
  }
  EXPECT_THAT(book.names_of(shared), ::testing::Not(::testing::Contains(host("db.test")))) << "no endpoint any more";
}

TEST(ReverseNames, ServesSeveralThreads) {
  ReverseNames book(256);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&book, t] {
      for (int i = 0; i < 2000; ++i) {
        const auto name = host("n" + std::to_string(i % 100) + ".test");
        const auto where = address("45.33.32." + std::to_string(i % 200));
        book.remember(name, {where}, Clock::now() + seconds(60));
        book.asked(address("10.0.0." + std::to_string(t)), name, i % 2 == 0);
        (void)book.leads_to(name, where);
        (void)book.looked_up_as(address("10.0.0.1"), where);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(book.leads_to(host("n99.test"), address("45.33.32.199")));
}

}  // namespace
}  // namespace soleroute::gateway::dns
