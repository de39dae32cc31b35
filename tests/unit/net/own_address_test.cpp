// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/own_address.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace soleroute::gateway::net {
namespace {

base::IpAddress address(const char* text) {
  return *base::IpAddress::parse(text);
}

TEST(OwnAddresses, AreThoseOfThePrefixesAndLoopback) {
  std::vector<base::Cidr> prefixes;
  for (const char* text : {"45.33.32.77", "45.33.32.1", "45.33.32.1", "198.51.100.0/24", "198.51.100.7",
                           "2600:3c01:0:1::/64", "2600:3c01::77", "2600:3c01:0:1::5", "127.0.0.1"}) {
    prefixes.push_back(*base::Cidr::parse(text));
  }
  const OwnAddresses own(prefixes);
  for (const char* here :
       {"45.33.32.1", "45.33.32.77", "::ffff:45.33.32.77", "198.51.100.0", "198.51.100.7", "198.51.100.255",
        "2600:3c01::77", "2600:3c01:0:1::", "2600:3c01:0:1:ffff::9", "127.200.3.4", "0.0.0.0", "::", "::1"}) {
    EXPECT_TRUE(own.contains(address(here))) << here;
  }
  for (const char* other :
       {"45.33.32.2", "45.33.32.76", "45.33.32.78", "198.51.101.0", "198.51.99.255", "126.0.0.1", "128.0.0.1",
        "0.0.0.1", "2600:3c01::78", "2600:3c01:0:2::", "2600:3c01:0:0:ffff::", "::2", "255.255.255.255", "7f00::1"}) {
    EXPECT_FALSE(own.contains(address(other))) << other;
  }
}

TEST(OwnAddressBook, KnowsNothingUntilItIsTold) {
  OwnAddressBook book;
  EXPECT_EQ(book.now(), nullptr);
  book.set(std::make_shared<const OwnAddresses>(std::vector<base::Cidr>{}));
  EXPECT_TRUE(book.now()->contains(address("127.0.0.1")));
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
