// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/system_resolvers.h"

#include <gtest/gtest.h>

namespace soleroute::gateway::host {
namespace {

TEST(ParseResolvConf, TakesTheServersInOrderAndAtMostThree) {
  const auto servers = parse_resolv_conf(
      "# a comment\nsearch corp.example\nnameserver 127.0.0.11\r\n  nameserver\t2001:db8::53  # inline\n"
      "nameserver ::ffff:192.0.2.1\nnameserver 192.0.2.2\noptions edns0\n");
  ASSERT_EQ(servers.size(), 3U);
  EXPECT_EQ(servers[0].to_string(), "127.0.0.11:53");
  EXPECT_EQ(servers[1].to_string(), "[2001:db8::53]:53");
  EXPECT_EQ(servers[2].to_string(), "192.0.2.1:53");
}

TEST(ParseResolvConf, LeavesOutWhatIsNoAddress) {
  EXPECT_TRUE(parse_resolv_conf("").empty());
  EXPECT_TRUE(
      parse_resolv_conf("nameserver\nnameserver dns.example\nnameserver fe80::1%eth0\nNAMESERVER 1.1.1.1").empty());
  EXPECT_TRUE(parse_resolv_conf("#nameserver 192.0.2.1\nnameserver192.0.2.1").empty());
}

TEST(ParseSearchDomains, TakesTheLastLineAndTheOptions) {
  const auto search = parse_search_domains(
      "domain old.example\nsearch corp.example. lab.corp.example 10.0.0.1 bad..example\noptions edns0 ndots:5 "
      "rotate\n");
  ASSERT_EQ(search.domains.size(), 2U);
  EXPECT_EQ(search.domains[0].text(), "corp.example");
  EXPECT_EQ(search.domains[1].text(), "lab.corp.example");
  EXPECT_EQ(search.ndots, 5U);
  EXPECT_EQ(parse_search_domains("options ndots:99").ndots, kMaxNdots);
  EXPECT_EQ(parse_search_domains("options ndots:x").ndots, 1U);
  EXPECT_TRUE(parse_search_domains("nameserver 192.0.2.1").domains.empty());
}

}  // namespace
}  // namespace soleroute::gateway::host
