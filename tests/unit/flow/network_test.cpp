// Every test of this program runs in a network namespace made for it: origins listen on port 80.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "tests/support/own_network.h"

namespace {

class OwnNetwork : public ::testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(soleroute::test::enter_own_network()) << "no network namespace can be made"; }
};
const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new OwnNetwork);  // owned by GoogleTest

}  // namespace
