// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/connection_table.h"

#include <gtest/gtest.h>

namespace soleroute::gateway::host {
namespace {

TEST(ConnectionTable, IsToldOfWithItsNumbersWhenItIsAsGoodAsFull) {
  EXPECT_FALSE(describe_table(0, 262144));
  EXPECT_FALSE(describe_table(94, 100));
  EXPECT_FALSE(describe_table(10, 0)) << "there is no such table";
  const auto full = describe_table(95, 100);
  ASSERT_TRUE(full);
  EXPECT_NE(full->find("95 of 100 entries"), std::string::npos) << *full;
  EXPECT_TRUE(describe_table(120, 100));
}

}  // namespace
}  // namespace soleroute::gateway::host
