// How many descriptors one client gets, and what the others still get then.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/descriptor_budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace soleroute::gateway::net {
namespace {

const auto kAgent = base::IpAddress::v4({10, 77, 0, 10});
const auto kNeighbour = base::IpAddress::v4({10, 77, 0, 11});
using Charges = std::vector<DescriptorBudget::Charge>;

// Until no more is given.
std::size_t take_connections(DescriptorBudget& budget, const base::IpAddress& client, Charges& into) {
  std::size_t taken = 0;
  while (auto charge = budget.connection(client)) {
    into.push_back(std::move(*charge));
    ++taken;
  }
  return taken;
}

std::size_t take_descriptors(DescriptorBudget& budget, const base::IpAddress& client, Charges& into) {
  std::size_t taken = 0;
  while (auto charge = budget.descriptors(client)) {
    into.push_back(std::move(*charge));
    ++taken;
  }
  return taken;
}

TEST(DescriptorBudget, SetsTwoAsideForEachConnection) {
  DescriptorBudget budget(400);
  Charges mine;
  EXPECT_EQ(take_connections(budget, kAgent, mine), 150U) << "300 of 400: the last quarter is for others";
  EXPECT_EQ(budget.held(), 300U);
  EXPECT_EQ(take_descriptors(budget, kAgent, mine), 150U) << "each of them may dial one origin";
  EXPECT_EQ(budget.held(), 300U);
  mine.clear();
  EXPECT_EQ(budget.held(), 0U);
}

TEST(DescriptorBudget, CountsWhatAConnectionOpensBeyondItsOrigin) {
  DescriptorBudget budget(400);
  Charges mine;
  mine.push_back(*budget.connection(kAgent));
  EXPECT_EQ(take_descriptors(budget, kAgent, mine), 299U) << "one connection with very many streams";
  EXPECT_FALSE(budget.connection(kAgent));
  Charges others;
  EXPECT_GT(take_connections(budget, kNeighbour, others), 10U) << "the neighbour is served";
}

TEST(DescriptorBudget, LeavesTheReserveToWhoeverHoldsFew) {
  DescriptorBudget budget(400);
  Charges mine;
  take_connections(budget, kAgent, mine);
  Charges second;
  EXPECT_EQ(take_connections(budget, kNeighbour, second), 12U) << "25 of the reserve of 100";
  Charges third;
  EXPECT_EQ(take_connections(budget, base::IpAddress::v4({10, 77, 0, 12}), third), 12U);
}

TEST(DescriptorBudget, IsSharedByTheAddressesOfOneNeighbour) {
  const auto v6 = base::IpAddress::parse("fd77::10").value();
  const auto table = [v6] {
    return std::vector<netlink::Neighbour>{{kAgent, 3, {2, 0, 0, 0, 0, 1}}, {v6, 3, {2, 0, 0, 0, 0, 1}}};
  };
  DescriptorBudget budget(400, ClientKeys(ClientKeys::Who::kEachNeighbour, table));
  Charges mine;
  EXPECT_EQ(take_connections(budget, kAgent, mine), 150U);
  EXPECT_EQ(take_connections(budget, v6, mine), 0U);
}

TEST(DescriptorBudget, KeepsNothingForOthersWhereThereAreNone) {
  DescriptorBudget budget(400, ClientKeys(ClientKeys::Who::kOne));
  Charges mine;
  EXPECT_EQ(take_connections(budget, kAgent, mine), 200U);
}

TEST(DescriptorBudget, GivesBackWhatMoves) {
  DescriptorBudget budget(400);
  {
    auto charge = budget.descriptors(kAgent, 2);
    ASSERT_TRUE(charge);
    DescriptorBudget::Charge moved = std::move(*charge);
    charge.reset();
    EXPECT_EQ(budget.held(), 2U);
    moved.release();
    EXPECT_EQ(budget.held(), 0U);
  }
  EXPECT_EQ(budget.held(), 0U);
}

}  // namespace
}  // namespace soleroute::gateway::net
