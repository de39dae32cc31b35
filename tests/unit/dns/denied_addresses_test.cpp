// The addresses of denied names: one each, bounded for each client, never another's.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/denied_addresses.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace soleroute::gateway::dns {
namespace {

using Clock = DeniedAddresses::Clock;

base::IpAddress address(const std::string& text) {
  return base::IpAddress::parse(text).value();
}
base::HostName host(const std::string& text) {
  return base::HostName::parse(text).value();
}
DeniedNetworks networks() {
  return {.v4 = base::Cidr::parse("100.65.0.0/16").value(), .v6 = base::Cidr::parse("fd73:6f6c:6572:1::/64").value()};
}

const Clock::time_point kStart{std::chrono::hours(1)};

TEST(DeniedAddresses, EachNameHasItsOwnAndKeepsIt) {
  DeniedAddresses pool(networks());
  const auto client = address("10.77.0.3");
  const auto first = pool.give(client, host("a.test"), kStart);
  const auto second = pool.give(client, host("b.test"), kStart);
  ASSERT_TRUE(first.v4 && first.v6 && second.v4 && second.v6);
  EXPECT_EQ(first.v4->to_string(), "100.65.4.0");
  EXPECT_EQ(first.v6->to_string(), "fd73:6f6c:6572:1::400");
  EXPECT_NE(*first.v4, *second.v4);
  EXPECT_NE(*first.v6, *second.v6);
  EXPECT_EQ(pool.give(client, host("a.test"), kStart).v4, first.v4);
  for (const auto& each : {*first.v4, *first.v6, address("::ffff:100.65.4.0")}) {
    EXPECT_EQ(pool.name_of(each), host("a.test")) << each.to_string();
    EXPECT_TRUE(pool.contains(each));
  }
  EXPECT_EQ(pool.name_of(*second.v4), host("b.test"));
  EXPECT_EQ(pool.name_for(client, *second.v4), host("b.test"));
  EXPECT_EQ(pool.name_for(address("10.77.0.4"), *second.v4), std::nullopt) << "another client's name is not told";
}

TEST(DeniedAddresses, OtherAddressesHaveNoName) {
  DeniedAddresses pool(networks());
  (void)pool.give(address("10.77.0.3"), host("a.test"), kStart);
  for (const char* text : {"100.65.4.1", "100.65.0.0", "100.65.255.255", "fd73:6f6c:6572:1::", "fd73:6f6c:6572:1::401",
                           "fd73:6f6c:6572:1:0:1:0:400", "100.64.4.0", "45.33.32.10", "fd73:6f6c:6572:2::400"}) {
    EXPECT_EQ(pool.name_of(address(text)), std::nullopt) << text;
  }
  EXPECT_TRUE(pool.contains(address("100.65.255.255"))) << "never dialled all the same";
  EXPECT_FALSE(pool.contains(address("100.64.4.0")));
  EXPECT_FALSE(pool.contains(address("fd73:6f6c:6572:2::400")));
}

TEST(DeniedAddresses, AFloodReusesNoAddressAtOnceAndThenTheOneUnusedLongest) {
  DeniedAddresses pool(networks());
  const auto client = address("10.77.0.3");
  const auto other = address("10.77.0.4");
  const auto kept = pool.give(other, host("other.test"), kStart).v4;
  std::set<base::IpAddress> given;
  for (std::size_t i = 0; i < DeniedAddresses::kNamesPerClient; ++i) {
    given.insert(*pool.give(client, host("n" + std::to_string(i) + ".test"), kStart).v4);
  }
  EXPECT_EQ(given.size(), DeniedAddresses::kNamesPerClient);
  EXPECT_FALSE(pool.give(client, host("more.test"), kStart + DeniedAddresses::kLeast / 2).v4);
  const auto later = kStart + DeniedAddresses::kLeast;
  const auto used = *pool.give(client, host("n0.test"), later).v4;
  const auto reused = pool.give(client, host("more.test"), later).v4;
  ASSERT_TRUE(reused);
  EXPECT_NE(*reused, used) << "n0 was used a moment ago";
  EXPECT_TRUE(given.contains(*reused));
  EXPECT_EQ(pool.name_of(*reused), host("more.test"));
  EXPECT_NE(pool.give(client, host("n1.test"), later).v4, reused) << "it was the one unused longest";
  EXPECT_EQ(pool.name_of(*kept), host("other.test")) << "another client's stays";
}

TEST(DeniedAddresses, ClientsThatComeTakeNoBlockThatIsInUse) {
  DeniedAddresses pool(networks());
  const auto client = [](std::size_t i) { return base::IpAddress::v4(static_cast<std::uint32_t>(0x0a4d0000 + i)); };
  std::set<base::IpAddress> given;
  for (std::size_t i = 0; i < DeniedAddresses::kMaxClients; ++i) {
    given.insert(*pool.give(client(i), host("a.test"), kStart).v4);
  }
  EXPECT_EQ(given.size(), DeniedAddresses::kMaxClients) << "the same name, an address for each";
  EXPECT_FALSE(pool.give(client(900), host("a.test"), kStart).v4);
  const auto later = kStart + DeniedAddresses::kClientLeast;
  const auto mine = pool.give(client(0), host("a.test"), later).v4;
  const auto theirs = pool.give(client(900), host("new.test"), later).v4;
  ASSERT_TRUE(mine && theirs);
  EXPECT_NE(*mine, *theirs);
  EXPECT_EQ(pool.name_of(*theirs), host("new.test"));
  EXPECT_EQ(pool.name_of(*mine), host("a.test"));
}

TEST(DeniedAddresses, OtherNetworksForgetTheNames) {
  DeniedAddresses pool(networks());
  const auto client = address("10.77.0.3");
  const auto before = *pool.give(client, host("a.test"), kStart).v4;
  pool.use(networks());
  EXPECT_EQ(pool.name_of(before), host("a.test")) << "the same: nothing changes";
  pool.use({.v4 = base::Cidr::parse("100.66.0.0/16").value()});
  EXPECT_FALSE(pool.contains(before));
  const auto after = pool.give(client, host("b.test"), kStart);
  EXPECT_EQ(after.v4->to_string(), "100.66.4.0");
  EXPECT_FALSE(after.v6);
  pool.use({});
  EXPECT_FALSE(pool.give(client, host("b.test"), kStart).v4);
  EXPECT_FALSE(DeniedAddresses({.v4 = base::Cidr::parse("100.64.0.0/10").value()}).contains(before)) << "no /16";
}

}  // namespace
}  // namespace soleroute::gateway::dns
