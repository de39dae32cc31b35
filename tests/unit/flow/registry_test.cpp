// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/registry.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>

namespace soleroute::gateway::flow {
namespace {

std::shared_ptr<const policy::Policy> empty_policy() {
  return policy::Policy::compile({}).value();
}

TEST(Registry, ClosesOnlyWhatTheNewPolicyDenies) {
  Registry registry;
  std::array<int, 2> closed{};
  const auto kept = registry.add([](const policy::Policy&) { return true; }, [&] { ++closed[0]; });
  const auto denied = registry.add([](const policy::Policy&) { return false; }, [&] { ++closed[1]; });
  EXPECT_EQ(registry.apply(*empty_policy()), 1U);
  EXPECT_EQ(closed[0], 0);
  EXPECT_EQ(closed[1], 1);
}

TEST(Registry, ForgetsAFlowWhenItsEntryGoes) {
  Registry registry;
  {
    auto entry = registry.add([](const policy::Policy&) { return false; }, [] { FAIL() << "the flow is gone"; });
    const auto moved = std::move(entry);
    EXPECT_EQ(registry.size(), 1U);
  }
  EXPECT_EQ(registry.size(), 0U);
  EXPECT_EQ(registry.apply(*empty_policy()), 0U);
}

}  // namespace
}  // namespace soleroute::gateway::flow
