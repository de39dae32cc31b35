// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/buffer_account.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace soleroute::gateway::net {
namespace {

base::IpAddress address(const char* text) {
  return base::IpAddress::parse(text).value();
}

TEST(BufferAccount, HasRoomUntilAClientHoldsItsShare) {
  const auto account = std::make_shared<BufferAccount>(BufferLimits{.all = 100, .client = 40});
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
  const auto account = std::make_shared<BufferAccount>(BufferLimits{.all = 100, .client = 40});
  const HeldBytes one(account->of(address("10.0.0.1")), 40);
  const HeldBytes two(account->of(address("10.0.0.2")), 40);
  std::optional<HeldBytes> three(HeldBytes(account->of(address("10.0.0.3")), 20));
  const auto fourth = account->of(address("10.0.0.4"));
  EXPECT_FALSE(fourth->has_room());
  three.reset();
  EXPECT_TRUE(fourth->has_room());
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
