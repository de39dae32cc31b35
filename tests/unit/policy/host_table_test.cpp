// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/host_table.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::policy {
namespace {

TEST(HostTable, FindsNothingInAnEmptyTable) {
  const HostTable table;
  EXPECT_EQ(table.find("a.test").record, HostTable::kNone);
  EXPECT_EQ(table.find("test").endpoints, HostTable::kNone);
}

TEST(HostTable, PrefersExactThenTheLongestWildcard) {
  HostTable table(3);
  table.at("x.test").wildcard = 1;
  table.at("b.x.test").wildcard = 2;
  table.at("a.b.x.test").exact = 3;
  EXPECT_EQ(table.find("x.test").record, 1u);
  EXPECT_EQ(table.find("b.x.test").record, 2u);
  EXPECT_EQ(table.find("a.b.x.test").record, 3u);
  EXPECT_EQ(table.find("c.a.b.x.test").record, 2u) << "an exact entry has nothing below it";
  EXPECT_EQ(table.find("c.x.test").record, 1u);
  EXPECT_EQ(table.find("xx.test").record, HostTable::kNone);
  EXPECT_EQ(table.find("test").record, HostTable::kNone);
}

TEST(HostTable, HoldsAsManyNamesAsItWasMadeFor) {
  constexpr std::uint32_t kNames = 5000;
  HostTable table(kNames);
  const auto name_of = [](std::uint32_t i) { return "h" + std::to_string(i) + ".d" + std::to_string(i % 7) + ".test"; };
  for (std::uint32_t i = 0; i < kNames; ++i) table.at(name_of(i)).exact = i;
  for (std::uint32_t i = 0; i < kNames; ++i) EXPECT_EQ(table.find(name_of(i)).record, i);
  for (std::uint32_t i = kNames; i < 2 * kNames; ++i) EXPECT_EQ(table.find(name_of(i)).record, HostTable::kNone);
}

TEST(HostTable, ManagesTheLongestNameOfTheMostLabels) {
  std::string name;
  for (int i = 0; i < 126; ++i) name += "a.";
  name += "a";  // 253 characters, 127 labels
  HostTable table(1);
  table.at("a").wildcard = 9;
  EXPECT_EQ(table.find(name).record, 9u);
}

}  // namespace
}  // namespace soleroute::policy
