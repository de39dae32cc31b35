// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/own_address.h"

#include <gtest/gtest.h>

#include <vector>

namespace soleroute::gateway::net {
namespace {

base::IpAddress address(const char* text) {
  return *base::IpAddress::parse(text);
}

TEST(OwnAddress, IsWhateverAConnectionEndsAtHere) {
  for (const char* own : {"127.0.0.1", "127.200.3.4", "0.0.0.0", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_own_address(address(own))) << own;
  }
  for (const char* other : {"192.0.2.1", "2001:db8::1", "224.0.0.251", "255.255.255.255"}) {
    EXPECT_FALSE(is_own_address(address(other))) << other;
  }
}

TEST(OwnAddress, IsMeantByItselfOrByLoopbackAndByNoRange) {
  struct Case {
    const char* range;
    const char* address;
    bool meant;
  };
  const Case cases[] = {
      {"45.33.32.1", "45.33.32.1", true},         // the very address
      {"45.33.32.1/32", "45.33.32.1", true},      //
      {"2001:db8::1", "2001:db8::1", true},       //
      {"45.33.32.0/24", "45.33.32.1", false},     // the network in which the gateway stands
      {"45.33.32.0/31", "45.33.32.1", false},     //
      {"0.0.0.0/0", "45.33.32.1", false},         //
      {"2001:db8::/32", "2001:db8::1", false},    //
      {"127.0.0.0/8", "127.0.0.1", true},         // loopback is nobody else's
      {"127.0.0.0/30", "127.0.0.1", true},        //
      {"::1", "::1", true},                       //
      {"0.0.0.0/0", "127.0.0.1", false},          // everything is no word about loopback
      {"45.33.32.1", "::ffff:45.33.32.1", true},  // the same address
      {"45.33.32.1", "45.33.32.2", false},        //
  };
  for (const Case& item : cases) {
    const std::vector ranges{*base::Cidr::parse(item.range)};
    EXPECT_EQ(means_own_address(ranges, address(item.address)), item.meant) << item.range << " " << item.address;
  }
  EXPECT_FALSE(means_own_address({}, address("45.33.32.1")));
}

}  // namespace
}  // namespace soleroute::gateway::net
