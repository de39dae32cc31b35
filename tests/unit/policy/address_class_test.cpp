// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/address_class.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace soleroute::policy {
namespace {

base::IpAddress ip(std::string_view text) {
  return *base::IpAddress::parse(text);
}

TEST(AddressClass, NamesTheRange) {
  struct Row {
    std::string_view address, name;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"45.33.32.10", "public"},
           {"1.1.1.1", "public"},
           {"172.15.255.255", "public"},
           {"172.32.0.0", "public"},
           {"100.63.255.255", "public"},
           {"100.128.0.0", "public"},
           {"192.0.1.1", "public"},
           {"198.17.255.255", "public"},
           {"223.255.255.255", "public"},
           {"0.0.0.0", "this network"},
           {"10.1.2.3", "private (RFC 1918)"},
           {"172.16.0.1", "private (RFC 1918)"},
           {"172.31.255.255", "private (RFC 1918)"},
           {"192.168.1.1", "private (RFC 1918)"},
           {"100.64.0.1", "carrier-grade NAT"},
           {"100.127.255.255", "carrier-grade NAT"},
           {"127.0.0.1", "loopback"},
           {"127.255.255.255", "loopback"},
           {"169.254.169.254", "link-local and cloud metadata"},
           {"168.63.129.16", "cloud metadata"},
           {"192.0.0.192", "cloud metadata"},
           {"192.0.0.191", "IETF protocol assignments"},
           {"100.100.100.200", "cloud metadata"},
           {"100.100.100.201", "carrier-grade NAT"},
           {"192.0.2.1", "documentation"},
           {"198.51.100.1", "documentation"},
           {"203.0.113.1", "documentation"},
           {"198.18.0.1", "benchmarking"},
           {"192.88.99.1", "6to4 relay anycast"},
           {"224.0.0.1", "multicast"},
           {"240.0.0.1", "reserved"},
           {"255.255.255.255", "broadcast"},
           {"2606:4700::1111", "public"},
           {"2001:4860:4860::8888", "public"},
           {"::", "unspecified"},
           {"::1", "loopback"},
           {"fe80::1", "link-local and cloud metadata"},
           {"fec0::1", "site-local"},
           {"fc00::1", "unique local"},
           {"fd00:ec2::254", "cloud metadata"},
           {"fd20:ce::254", "cloud metadata"},
           {"fd00:ec2::253", "unique local"},
           {"ff02::1", "multicast"},
           {"2001:db8::1", "documentation"},
           {"3fff::1", "documentation"},
           {"2001:2::1", "benchmarking"},
           {"2001:10::1", "IETF protocol assignments"},
           {"100::1", "discard-only"},
           {"4000::1", "reserved"},
           {"::ffff:127.0.0.1", "loopback"},
           {"::ffff:45.33.32.10", "IPv4 embedded in IPv6"},
           {"::7f00:1", "loopback"},
           {"::a9fe:a9fe", "link-local and cloud metadata"},
           {"64:ff9b::a9fe:a9fe", "link-local and cloud metadata"},
           {"64:ff9b:1::7f00:1", "loopback"},
           {"64:ff9b::2d21:200a", "public"},
           {"64:ff9b::a00:1", "private (RFC 1918)"},
           {"64:ff9b::7f00:1", "loopback"},
           {"64:ff9b::c000:201", "documentation"},
           {"64:ff9b:1::2d21:200a", "IPv4 embedded in IPv6"},
           {"2002:7f00:1::", "loopback"},
           {"2002:a9fe:a9fe::1", "link-local and cloud metadata"},
           {"2002:2d21:200a::1", "IPv4 embedded in IPv6"},
           {"2001:0:4136:e378:8000:63bf:80ff:fffe", "loopback"},
           {"2001:0:4136:e378:8000:63bf:d2de:dff5", "IPv4 embedded in IPv6"},
       }) {
    EXPECT_EQ(address_class(ip(row.address)), row.name) << row.address;
    EXPECT_EQ(is_public(ip(row.address)), row.name == "public") << row.address;
  }
}

TEST(AddressClass, KnowsWhereTheWellKnownPrefixLeads) {
  EXPECT_EQ(beyond_nat64(ip("64:ff9b::2d21:200a")), ip("45.33.32.10"));
  for (const char* const same : {"64:ff9b:1::2d21:200a", "64:ff9b::1:2d21:200a", "2600::1", "45.33.32.10"}) {
    EXPECT_EQ(beyond_nat64(ip(same)), ip(same));
  }
}

TEST(AddressClass, DialsNonPublicAddressesOnlyWhereTheyAreListed) {
  const std::array<base::Cidr, 2> permitted{*base::Cidr::parse("10.0.0.0/8"), *base::Cidr::parse("fd00::/8")};
  EXPECT_TRUE(may_dial(ip("45.33.32.10"), {})) << "public needs no list";
  EXPECT_FALSE(may_dial(ip("10.0.0.1"), {}));
  EXPECT_TRUE(may_dial(ip("10.0.0.1"), permitted));
  EXPECT_TRUE(may_dial(ip("::ffff:10.0.0.1"), permitted)) << "the same address";
  EXPECT_FALSE(may_dial(ip("64:ff9b::a00:1"), permitted)) << "a translated address is not the same";
  EXPECT_TRUE(may_dial(ip("fd00::1"), permitted));
  EXPECT_FALSE(may_dial(ip("127.0.0.1"), permitted));
}

}  // namespace
}  // namespace soleroute::policy
