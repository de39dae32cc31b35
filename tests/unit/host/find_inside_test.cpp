// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "gateway/host/network.h"

namespace soleroute::gateway::host {
namespace {

using ::testing::HasSubstr;

netlink::Interface link(int index, const char* name, const char* address) {
  return {.index = index,
          .name = name,
          .up = true,
          .loopback = false,
          .addresses = {*base::InterfaceAddress::parse(address)}};
}

// As after `gateway init --replace --network` without `docker compose down`: the engine keeps the network that it has.
TEST(FindInside, NamesTheStepWhereTheProjectsNetworkWasChanged) {
  const std::vector interfaces{link(2, "eth0", "172.18.0.3/16"), link(3, "eth1", "10.213.40.3/24")};
  const auto old = find_inside(interfaces, "", {*base::InterfaceAddress::parse("10.213.40.2/24")});
  ASSERT_TRUE(old) << "control: the network that the engine has";
  EXPECT_EQ(old->name, "eth1");

  const auto changed = find_inside(interfaces, "", {*base::InterfaceAddress::parse("10.213.41.2/24")});
  ASSERT_FALSE(changed);
  EXPECT_THAT(changed.error().message, HasSubstr("10.213.41.2/24"));
  EXPECT_THAT(changed.error().message, HasSubstr("eth0, eth1"));
  EXPECT_THAT(changed.error().message, HasSubstr("docker compose down, then docker compose up -d"));
}

}  // namespace
}  // namespace soleroute::gateway::host
