// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/ip_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace soleroute::base {
namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

TEST(IpAddress, ReadsBothFamiliesAndWritesThemBack) {
  for (const char* text :
       {"0.0.0.0", "45.33.32.10", "255.255.255.255", "::", "::1", "2001:db8::1", "::ffff:10.0.0.1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(IpAddress, RefusesEverySpellingThatOthersGuessAt) {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0x7f.0.0.1", "1.2.3.256", " 1.2.3.4", "1.2.3.4 ",
                           "fe80::1%eth0", "[::1]", "1:2", "example.com", "1.2.3.4/32"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST(IpAddress, UnmapsOnlyMappedAddresses) {
  EXPECT_EQ(ip("::ffff:10.0.0.1").unmapped(), ip("10.0.0.1"));
  EXPECT_EQ(ip("::10.0.0.1").unmapped(), ip("::10.0.0.1"));
  EXPECT_EQ(ip("10.0.0.1").unmapped(), ip("10.0.0.1"));
  EXPECT_NE(ip("0.0.0.0"), ip("::"));
}

TEST(Cidr, ContainsItsOwnAndNothingElse) {
  const auto ten = Cidr::parse("10.0.0.0/8").value();
  EXPECT_TRUE(ten.contains(ip("10.255.255.255")));
  EXPECT_FALSE(ten.contains(ip("11.0.0.0")));
  EXPECT_FALSE(ten.contains(ip("::ffff:10.0.0.1")));
  EXPECT_TRUE(Cidr::parse("0.0.0.0/0")->contains(ip("1.2.3.4")));
  EXPECT_TRUE(Cidr::parse("2001:db8::/33")->contains(ip("2001:db8:7fff::")));
  EXPECT_FALSE(Cidr::parse("2001:db8::/33")->contains(ip("2001:db8:8000::")));
  EXPECT_TRUE(ten.contains(Cidr::parse("10.1.0.0/16").value()));
  EXPECT_FALSE(Cidr::parse("10.1.0.0/16")->contains(ten));
}

TEST(Cidr, ShowsTheFixWhenHostBitsAreSet) {
  const auto cidr = Cidr::parse("10.1.2.3/8");
  ASSERT_FALSE(cidr);
  EXPECT_NE(cidr.error().message.find("write '10.0.0.0/8'"), std::string::npos) << cidr.error().message;
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/08", "::/129", "/8", "10.0.0.0/8/8"}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
  EXPECT_EQ(Cidr::parse("192.0.2.7")->to_string(), "192.0.2.7/32");
}

TEST(InterfaceAddress, KeepsHostBitsAndKnowsItsSubnet) {
  const auto address = InterfaceAddress::parse("10.77.0.2/24").value();
  EXPECT_EQ(address.to_string(), "10.77.0.2/24");
  EXPECT_EQ(address.subnet().to_string(), "10.77.0.0/24");
}

TEST(Endpoint, ReadsAddressAndPortOfBothFamilies) {
  EXPECT_EQ(Endpoint::parse("1.2.3.4:53")->to_string(), "1.2.3.4:53");
  EXPECT_EQ(Endpoint::parse("[2001:db8::1]:443")->to_string(), "[2001:db8::1]:443");
  EXPECT_EQ(Endpoint::parse("1.2.3.4", 53)->to_string(), "1.2.3.4:53");
  EXPECT_EQ(Endpoint::parse("::1", 53)->to_string(), "[::1]:53");
  EXPECT_EQ(Endpoint::parse("[::1]", 53)->to_string(), "[::1]:53");
  for (const char* text : {"1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+80", "::1:53", "[1.2.3.4]:53",
                           "[::1]53", "example.com:53", ":53"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(Endpoint, SurvivesTheSocketApiAndUnmapsWhatADualStackSocketSays) {
  for (const char* text : {"1.2.3.4:53", "[2001:db8::1]:443"}) {
    const auto endpoint = Endpoint::parse(text).value();
    sockaddr_storage storage{};
    endpoint.to_sockaddr(storage);
    EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(storage)), endpoint);
  }
  sockaddr_storage storage{};
  Endpoint{ip("::ffff:10.0.0.1"), 80}.to_sockaddr(storage);
  EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(storage)).to_string(), "10.0.0.1:80");
}

}  // namespace
}  // namespace soleroute::base
