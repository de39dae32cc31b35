// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/stale_connections.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::host {
namespace {

base::Endpoint at(std::string_view text) {
  return base::Endpoint::parse(text).value_or(base::Endpoint{});
}

struct Row {
  std::uint8_t protocol;
  std::string_view source;
  std::string_view destination;
  std::string_view answers_from;
  bool redirected;
  bool stale;
  std::string_view why;
};

void expect_rows(const AgentSide& side, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const netlink::TrackedConnection connection{.protocol = row.protocol,
                                                .source = at(row.source),
                                                .destination = at(row.destination),
                                                .answers_from = at(row.answers_from),
                                                .redirected = row.redirected};
    EXPECT_EQ(is_stale(side, connection), row.stale) << row.why;
  }
}

TEST(StaleConnections, BehindARouterAreThoseOfAgentsThatLeadToNoListener) {
  const AgentSide side{.networks = {*base::Cidr::parse("10.77.0.0/24")},
                       .addresses = {*base::IpAddress::parse("10.77.0.2"), *base::IpAddress::parse("192.0.2.1")},
                       .listeners = {40001, 40002},
                       .known_before = {29180, 29153}};
  expect_rows(
      side,
      {{IPPROTO_UDP, "10.77.0.10:5000", "8.8.8.8:53", "10.77.0.2:29153", true, true, "DNS to the earlier listener"},
       {IPPROTO_UDP, "10.77.0.10:5000", "8.8.8.8:53", "10.77.0.2:40002", true, false, "DNS to the one of now"},
       {IPPROTO_UDP, "10.77.0.10:5000", "8.8.8.8:53", "8.8.8.8:53", false, true, "DNS that led nowhere else"},
       {IPPROTO_UDP, "10.77.0.10:5000", "8.8.8.8:123", "8.8.8.8:123", false, false, "not DNS"},
       {IPPROTO_TCP, "10.77.0.10:5000", "1.1.1.1:443", "10.77.0.2:29180", true, true, "TCP to the earlier listener"},
       {IPPROTO_TCP, "10.77.0.10:5000", "1.1.1.1:443", "10.77.0.2:40001", true, false, "TCP to the one of now"},
       {IPPROTO_TCP, "10.77.0.10:5000", "192.0.2.1:8080", "172.17.0.2:80", true, false, "another program's redirect"},
       {IPPROTO_UDP, "10.78.0.10:5000", "8.8.8.8:53", "10.77.0.2:29153", true, false, "another network's"},
       {IPPROTO_UDP, "192.0.2.1:5000", "8.8.8.8:53", "8.8.8.8:53", false, false, "the gateway's own question"},
       {IPPROTO_UDP, "10.77.0.2:5000", "8.8.8.8:53", "8.8.8.8:53", false, false, "the same, from the inside address"}});
}

TEST(StaleConnections, InASharedNamespaceAreThoseOfItsOwnAddresses) {
  const AgentSide side{.addresses = {*base::IpAddress::parse("10.1.0.5")}, .listeners = {40001, 40002}};
  expect_rows(side,
              {{IPPROTO_UDP, "10.1.0.5:5000", "10.96.0.10:53", "127.0.0.1:29153", true, true, "to another listener"},
               {IPPROTO_UDP, "127.0.0.1:5000", "127.0.0.11:53", "127.0.0.1:40002", true, false, "to ours"},
               {IPPROTO_UDP, "[::1]:5000", "[2001:db8::1]:53", "[::1]:29153", true, true, "over IPv6"},
               {IPPROTO_UDP, "10.1.0.9:5000", "10.1.0.5:53", "10.1.0.5:53", false, false, "from outside"},
               {IPPROTO_TCP, "10.1.0.5:5000", "1.1.1.1:443", "127.0.0.1:15001", true, false, "a service mesh's"}});
}

}  // namespace
}  // namespace soleroute::gateway::host
