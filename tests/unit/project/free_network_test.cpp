// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/free_network.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "gateway/project/project_identity.h"

namespace soleroute::gateway::project {
namespace {

UsedNetwork used(const std::string& cidr, const std::string& interface = "eth0") {
  return {base::Cidr::parse(cidr).value(), interface};
}

TEST(Conflict, IsAnyNetworkThatSharesAddresses) {
  struct Row {
    const char* network;
    bool expected;
  };
  for (const Row& row :
       {Row{"10.1.2.0/24", true}, Row{"10.1.0.0/16", true}, Row{"10.0.0.0/8", true}, Row{"10.1.2.128/25", true},
        Row{"10.1.2.7/32", true}, Row{"10.1.3.0/24", false}, Row{"192.168.0.0/16", false}, Row{"fd00::/8", false}}) {
    const std::array list{used(row.network)};
    EXPECT_EQ(conflict("10.1.2", list).has_value(), row.expected) << row.network;
  }
}

TEST(Conflict, NamesTheNarrowest) {
  const std::array list{used("10.0.0.0/8", "wg0"), used("10.1.2.0/24", "eth1"), used("10.1.0.0/16", "eth2")};
  EXPECT_EQ(conflict("10.1.2", list)->interface, "eth1");
}

TEST(FreeNetwork, IsTheFirstCandidateWithoutAConflict) {
  EXPECT_EQ(free_network("/srv/a", {}), project_network("/srv/a"));
  const std::array first{used(project_network("/srv/a") + ".0/24")};
  EXPECT_EQ(free_network("/srv/a", first), project_network("/srv/a", 1));
  const std::array both{used(project_network("/srv/a") + ".0/24"), used(project_network("/srv/a", 1) + ".64/26")};
  EXPECT_EQ(free_network("/srv/a", both), project_network("/srv/a", 2));
}

TEST(FreeNetwork, BehindAVpnOfEverythingIsOneThatNoInterfaceHas) {
  const std::array vpn{used("10.0.0.0/8", "wg0"), used(project_network("/srv/a") + ".0/24", "eth0")};
  EXPECT_EQ(free_network("/srv/a", vpn), project_network("/srv/a", 1));
}

}  // namespace
}  // namespace soleroute::gateway::project
