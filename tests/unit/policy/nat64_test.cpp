// NAT64 prefixes: the IPv4 address inside decides, and what a resolver says of a prefix never opens anything.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/nat64.h"

#include <gmock/gmock.h>

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "policy/address_class.h"
#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Nat64Prefix prefix(std::string_view text) {
  return *Nat64Prefix::parse(text);
}

// RFC 6052 section 2.4.
TEST(Nat64, FindsTheAddressInsideForEveryLength) {
  struct Row {
    const char* prefix;
    const char* address;
  };
  for (const Row& row :
       {Row{"2001:db8::/32", "2001:db8:c000:221::"}, Row{"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
        Row{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
        Row{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
        Row{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
        Row{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"}, Row{"64:ff9b::/96", "64:ff9b::192.0.2.33"}}) {
    EXPECT_EQ(prefix(row.prefix).embedded(address(row.address)), address("192.0.2.33")) << row.prefix;
    EXPECT_EQ(prefix(row.prefix).embedded(address("2600::1")), std::nullopt) << row.prefix;
    EXPECT_EQ(prefix(row.prefix).embedded(address("192.0.2.33")), std::nullopt) << row.prefix;
  }
}

TEST(Nat64, TakesNoPrefixThatMeansSomethingElse) {
  for (const auto* text : {"2600::/33", "2600::/128", "2600::/16", "10.0.0.0/32", "::/96", "::ffff:0:0/96", "::/32",
                           "fe80::/64", "ff02::/96", "2002::/48", "2001::/32", "2002::/32", "x"}) {
    EXPECT_FALSE(Nat64Prefix::parse(text)) << text;
  }
  for (const auto* text : {"2600:64::/96", "fd00:64::/96", "64:ff9b:1::/48", "64:ff9b:1::/96", "2a00:1098:2c::/96"}) {
    EXPECT_TRUE(Nat64Prefix::parse(text)) << text;
  }
}

bool public_or_listed(const Nat64Prefixes& prefixes, std::string_view where, std::vector<base::Cidr> listed = {}) {
  return prefixes.may(address(where), [&](const base::IpAddress& each) { return may_dial(each, listed); });
}

TEST(Nat64, AConfiguredPrefixIsWhatIsInside) {
  const Nat64Prefixes prefixes{.configured = {prefix("fd00:64::/96"), prefix("2600:64::/32")}, .discovered = {}};
  EXPECT_TRUE(public_or_listed(prefixes, "fd00:64::1.1.1.1"));
  EXPECT_TRUE(public_or_listed(prefixes, "2600:64:101:101::"));
  for (const auto* where : {"fd00:64::10.0.0.5", "fd00:64::127.0.0.1", "fd00:64::169.254.169.254",
                            "2600:64:a00:5::", "fd00:65::1.1.1.1", "fd00:64::100.64.0.1"}) {
    EXPECT_FALSE(public_or_listed(prefixes, where)) << where;
  }
  EXPECT_TRUE(public_or_listed(prefixes, "fd00:64::10.0.0.5", {*base::Cidr::parse("10.0.0.0/8")})) << "listed inside";
  EXPECT_FALSE(public_or_listed(prefixes, "fd00:64::10.0.0.5", {*base::Cidr::parse("fd00:64::/96")}))
      << "listing the prefix lists no private address behind it";
  EXPECT_FALSE(public_or_listed({}, "fd00:64::1.1.1.1")) << "control: without it the address is private";
}

TEST(Nat64, TheWellKnownPrefixIsWhatIsInside) {
  EXPECT_TRUE(public_or_listed({}, "64:ff9b::1.1.1.1"));
  EXPECT_FALSE(public_or_listed({}, "64:ff9b::10.0.0.5"));
  EXPECT_TRUE(public_or_listed({}, "64:ff9b::10.0.0.5", {*base::Cidr::parse("10.0.0.5")}));
}

TEST(Nat64, ADiscoveredPrefixOnlyDenies) {
  const Nat64Prefixes found{.configured = {}, .discovered = {prefix("2600:64::/96"), prefix("fd00:64::/96")}};
  EXPECT_TRUE(public_or_listed(found, "2600:64::1.1.1.1"));
  for (const auto* where : {"2600:64::10.0.0.5", "2600:64::127.0.0.1", "2600:64::169.254.169.254", "fd00:64::1.1.1.1",
                            "fd00:64::10.0.0.5"}) {
    EXPECT_FALSE(public_or_listed(found, where)) << where;
  }
  EXPECT_TRUE(public_or_listed(found, "fd00:64::1.1.1.1", {*base::Cidr::parse("fd00:64::/96")}))
      << "a person listed it";
  EXPECT_FALSE(public_or_listed(found, "fd00:64::10.0.0.5", {*base::Cidr::parse("10.0.0.0/8")}))
      << "a resolver that names a private network as a prefix opens none of it";
  EXPECT_EQ(found.unconfirmed(address("fd00:64::1.1.1.1"))->range().to_string(), "fd00:64::/96");
  EXPECT_EQ(found.unconfirmed(address("2600:64::1.1.1.1")), nullptr);
}

// Whatever a hostile resolver says: with its prefixes nothing may be dialled that may not be without them.
TEST(Nat64, NoAnswerOfAResolverWidens) {
  std::mt19937 random(7);
  const std::vector<base::Cidr> listed{*base::Cidr::parse("10.0.0.0/8"), *base::Cidr::parse("fd12::/16")};
  const auto may = [&](const base::IpAddress& each) { return may_dial(each, listed); };
  std::size_t stricter = 0;
  for (int i = 0; i < 4000; ++i) {
    std::vector<base::IpAddress> answer;
    for (int j = 0; j < 3; ++j) {
      std::array<std::uint8_t, 16> bytes{};
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : 0);
      bytes[0] = std::array<std::uint8_t, 5>{0x20, 0x26, 0xfd, 0xfe, 0x00}[random() % 5];
      const std::array<std::uint8_t, 4> known{192, 0, 0, 170};
      std::copy(known.begin(), known.end(), bytes.begin() + 4 + random() % 9);
      answer.push_back(base::IpAddress::v6(bytes));
    }
    const Nat64Prefixes found{.configured = {}, .discovered = discovered_prefixes(answer)};
    for (const auto& claimed : answer) {
      std::array<std::uint8_t, 16> bytes{};
      std::copy_n(claimed.bytes().begin(), 16, bytes.begin());
      for (std::size_t at = 4; at < 16; ++at) bytes[at] = static_cast<std::uint8_t>(random());
      const auto dialled = base::IpAddress::v6(bytes);
      const bool before = may(dialled);
      const bool after = found.may(dialled, may);
      EXPECT_TRUE(before || !after) << dialled.to_string();
      stricter += before && !after ? 1 : 0;
    }
  }
  EXPECT_GT(stricter, 0U) << "control: some answers were prefixes";
}

TEST(Nat64, DiscoversEveryLength) {
  for (const auto* text : {"2600:64::/32", "2600:64:100::/40", "2600:64:122::/48", "2600:64:122:300::/56",
                           "2600:64:122:344::/64", "2600:64:122:344::/96"}) {
    const auto expected = prefix(text);
    std::array<std::uint8_t, 16> bytes{};
    std::copy_n(expected.range().address().bytes().begin(), 16, bytes.begin());
    const int length = expected.range().prefix_length();
    std::size_t at = static_cast<std::size_t>(length) / 8;
    for (const std::uint8_t byte : {192, 0, 0, 171}) {
      if (at == 8) ++at;
      bytes[at++] = byte;
    }
    EXPECT_THAT(discovered_prefixes(std::array{base::IpAddress::v6(bytes)}), ElementsAre(expected)) << text;
  }
}

TEST(Nat64, DiscoversNothingInOtherAnswers) {
  EXPECT_THAT(discovered_prefixes(std::array{address("64:ff9b::192.0.0.170"), address("64:ff9b::192.0.0.171")}),
              IsEmpty())
      << "known anyway";
  for (const auto* where : {"2600:3c01::10", "::1", "::ffff:192.0.0.170", "192.0.0.170", "fe80::192.0.0.170", "::"}) {
    EXPECT_THAT(discovered_prefixes(std::array{address(where)}), IsEmpty()) << where;
  }
  std::vector<base::IpAddress> many;
  for (int i = 0; i < 100; ++i) many.push_back(address("2600:" + std::to_string(i + 1) + "::192.0.0.170"));
  EXPECT_EQ(discovered_prefixes(many).size(), kMaxDiscovered);
}

}  // namespace
}  // namespace soleroute::policy::testing
