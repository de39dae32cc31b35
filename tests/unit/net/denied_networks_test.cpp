// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/denied_networks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace soleroute::gateway::net {
namespace {

std::vector<base::Cidr> prefixes(std::initializer_list<const char*> texts) {
  std::vector<base::Cidr> all;
  for (const char* text : texts) all.push_back(base::Cidr::parse(text).value());
  return all;
}

std::string text(const std::optional<base::Cidr>& network) {
  return network ? network->to_string() : "none";
}

TEST(DeniedNetworks, OverlapNothingThatIsTaken) {
  struct Row {
    const char* why;
    std::vector<base::Cidr> taken;
    const char* v4;
    const char* v6;
  };
  const Row rows[] = {
      {"nothing", {}, "100.65.0.0/16", "fd73:6f6c:6572:1::/64"},
      {"a default route and a VPN's halves", prefixes({"0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3", "fd00::/8"}),
       "100.65.0.0/16", "fd73:6f6c:6572:1::/64"},
      {"one address in the first", prefixes({"100.65.3.7/32", "fd73:6f6c:6572:1::9/128"}), "100.66.0.0/16",
       "fd73:6f6c:6572:2::/64"},
      {"Tailscale's routes", prefixes({"100.64.0.0/10", "fd7a:115c:a1e0::/48"}), "198.18.0.0/16",
       "fd73:6f6c:6572:1::/64"},
      {"also a fake-address resolver", prefixes({"100.64.0.0/10", "198.18.0.0/15", "fd73:6f6c:6572::/48"}), "none",
       "none"},
      {"another part of both", prefixes({"10.0.0.0/8", "100.100.100.100/32", "fd00:1::/32"}), "100.65.0.0/16",
       "fd73:6f6c:6572:1::/64"},
  };
  for (const Row& row : rows) {
    const auto chosen = choose_denied_networks(row.taken);
    EXPECT_EQ(text(chosen.v4), row.v4) << row.why;
    EXPECT_EQ(text(chosen.v6), row.v6) << row.why;
  }
}

TEST(DeniedNetworks, StayWhereTheyAreUnlessTheyOverlap) {
  const auto first = choose_denied_networks({});
  const auto taken = prefixes({"100.66.0.0/16"});
  EXPECT_EQ(choose_denied_networks(taken, first), first);
  const auto moved = choose_denied_networks(prefixes({"100.65.0.0/24"}), first);
  EXPECT_EQ(text(moved.v4), "100.66.0.0/16");
  EXPECT_EQ(moved.v6, first.v6);
  EXPECT_EQ(choose_denied_networks({}, moved), moved);
}

TEST(DeniedNetworks, AreAllInTheRangesThatAGuardLetsThrough) {
  const auto ranges = denied_network_ranges();
  std::vector<base::Cidr> taken;
  for (int i = 0; i < 100; ++i) {
    for (const auto& network : choose_denied_networks(taken).list()) {
      EXPECT_TRUE(std::ranges::any_of(ranges, [&](const auto& range) { return range.contains(network); }))
          << network.to_string();
      taken.push_back(network);
    }
  }
  EXPECT_TRUE(choose_denied_networks(taken).list().empty());
}

}  // namespace
}  // namespace soleroute::gateway::net
