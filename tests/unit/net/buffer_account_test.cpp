// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/buffer_account.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace soleroute::gateway::net {
namespace {

base::IpAddress address(const char* text) {
  return base::IpAddress::parse(text).value();
}

BufferLimits small(std::size_t reserve = 0, std::size_t few = 0) {
  return {.all = 100, .client = 40, .reserve = reserve, .few = few};
}

TEST(BufferAccount, HasRoomUntilAClientHoldsItsShare) {
  const auto account = std::make_shared<BufferAccount>(small());
  const auto client = account->of(address("10.0.0.1"));
  HeldBytes first(client, 39);
  EXPECT_TRUE(client->has_room());
  HeldBytes second(client, 1);
  EXPECT_FALSE(client->has_room());
  EXPECT_FALSE(account->of(address("::ffff:10.0.0.1"))->has_room()) << "the same client, written otherwise";
  EXPECT_TRUE(account->of(address("10.0.0.2"))->has_room()) << "another client";
  first.set(20);
  EXPECT_TRUE(client->has_room());
  EXPECT_EQ(account->held(), 21U);
}

TEST(BufferAccount, HasNoRoomForAnyoneWhenAllOfItIsHeld) {
  const auto account = std::make_shared<BufferAccount>(small());
  const HeldBytes one(account->of(address("10.0.0.1")), 40);
  const HeldBytes two(account->of(address("10.0.0.2")), 40);
  std::optional<HeldBytes> three(HeldBytes(account->of(address("10.0.0.3")), 20));
  const auto fourth = account->of(address("10.0.0.4"));
  EXPECT_FALSE(fourth->has_room());
  three.reset();
  EXPECT_TRUE(fourth->has_room());
}

// What three hold, also beyond what they may, leaves the reserve to a fourth.
TEST(BufferAccount, KeepsRoomForClientsThatHoldFew) {
  const auto account = std::make_shared<BufferAccount>(small(20, 5));
  const HeldBytes one(account->of(address("10.0.0.1")), 40);
  const HeldBytes two(account->of(address("10.0.0.2")), 39);
  const auto third = account->of(address("10.0.0.3"));
  HeldBytes three(third, 1);
  EXPECT_TRUE(third->has_room()) << "it has few";
  three.set(50);
  EXPECT_FALSE(third->has_room());
  const auto fourth = account->of(address("10.0.0.4"));
  EXPECT_TRUE(fourth->has_room()) << "130 of 100 are held, but none of the reserve's last 5";
  HeldBytes four(fourth, 4);
  EXPECT_TRUE(fourth->has_room());
  four.set(5);
  EXPECT_FALSE(fourth->has_room()) << "no more than few of the reserve";
  EXPECT_FALSE(account->of(address("10.0.0.5"))->has_room()) << "four times five: the reserve is used up";
  four.set(4);
  EXPECT_TRUE(account->of(address("10.0.0.5"))->has_room());
  three.set(0);
  EXPECT_TRUE(fourth->has_room());
}

TEST(BufferAccount, LetsTheOnlyClientHoldAll) {
  const auto account = std::make_shared<BufferAccount>(BufferLimits::of_one_client());
  const auto client = account->of(address("10.0.0.1"));
  const BufferLimits limits;
  const HeldBytes most(client, limits.all - 1);
  EXPECT_TRUE(client->has_room());
  const HeldBytes last(client, 1);
  EXPECT_FALSE(client->has_room());
}

// 8 KiB for each: what a worker counts for a connection that does nothing.
TEST(BufferAccount, HasRoomForTenThousandIdleConnectionsOfAClient) {
  const auto account = std::make_shared<BufferAccount>(BufferLimits{});
  const auto client = account->of(address("10.0.0.1"));
  const HeldBytes idle(client, std::size_t{10000} * 8 * 1024);
  EXPECT_TRUE(client->has_room());
}

TEST(BufferAccount, IsEmptyWhenAllIsOver) {
  const auto account = std::make_shared<BufferAccount>(small(20, 5));
  const auto work = [&account](std::size_t seed) {
    for (std::size_t i = 0; i < 20000; ++i) {
      HeldBytes held(account->of(address(i % 2 == 0 ? "10.0.0.1" : "10.0.0.2")), (i * seed) % 17);
      held.add(seed);
      held.subtract(3);
      HeldBytes other(std::move(held));
      other.set(i % 5);
    }
  };
  std::thread beside(work, 7);
  work(11);
  beside.join();
  EXPECT_EQ(account->held(), 0U);
  // Nothing is left of the reserve's count either: with all of the rest held, four clients have few each.
  const HeldBytes rest(account->of(address("10.0.0.9")), 100);
  std::vector<HeldBytes> few;
  for (const char* const client : {"10.0.0.1", "10.0.0.2", "10.0.0.3"}) {
    EXPECT_TRUE(account->of(address(client))->has_room()) << client;
    few.emplace_back(account->of(address(client)), 5);
  }
  EXPECT_FALSE(account->of(address("10.0.0.4"))->has_room());
}

TEST(BufferAccount, CountsEachByteOnceWhateverMoves) {
  const auto account = std::make_shared<BufferAccount>(BufferLimits{});
  {
    HeldBytes held(account->of(address("10.0.0.1")), 10);
    HeldBytes taken(std::move(held));
    EXPECT_EQ(account->held(), 10U);
    held = HeldBytes(account->of(address("10.0.0.1")), 5);
    EXPECT_EQ(account->held(), 15U);
    held = std::move(taken);
    EXPECT_EQ(account->held(), 10U);
    held.subtract(50);
    EXPECT_EQ(account->held(), 0U) << "never below nothing";
    held.add(7);
    EXPECT_EQ(account->of(address("10.0.0.1"))->held(), 7U);
  }
  EXPECT_EQ(account->held(), 0U);
}

TEST(BufferAccount, HasAlwaysRoomForWhatHasNoAccount) {
  EXPECT_TRUE(has_room(nullptr));
  HeldBytes held;
  held.add(1000);
  EXPECT_EQ(held.bytes(), 0U);
}

}  // namespace
}  // namespace soleroute::gateway::net
