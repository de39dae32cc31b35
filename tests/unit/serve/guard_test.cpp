// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/guard.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

namespace soleroute::gateway::serve {
namespace {

std::shared_ptr<const policy::Policy> compiled(const char* text) {
  const std::array sources{policy::PolicySource{"policy.yaml", text}};
  auto policy = policy::Policy::compile(sources);
  EXPECT_TRUE(policy.has_value());
  return policy ? *policy : nullptr;
}

TEST(GuardIntent, NamesTheGatewayTheProxyAndTheEndpoints) {
  const auto policy = compiled("endpoints: [{host: db.example.net, port: 5432, protocol: tcp}]\n");
  GuardOptions options;
  options.gateways = {*base::IpAddress::parse("10.77.0.2")};
  options.explicit_proxy_port = 3128;
  const netrules::Intent intent = guard_intent(options, *policy);
  EXPECT_EQ(intent.topology, netrules::Topology::kGuard);
  EXPECT_EQ(intent.gateway_addresses, options.gateways);
  EXPECT_EQ(intent.explicit_proxy_port, 3128);
  ASSERT_EQ(intent.endpoints.size(), 1U);
  EXPECT_EQ(intent.endpoints.front().ports, std::vector<std::uint16_t>{5432});
  EXPECT_FALSE(intent.packet_queue.has_value()) << "nobody in the guarded namespace reads it";
  EXPECT_TRUE(netrules::open_rules(intent).has_value());
  EXPECT_TRUE(netrules::closed_rules(intent).has_value());
}

TEST(GuardIntent, WithoutAGatewayIsRefused) {
  const auto policy = compiled("domains: [example.com]\n");
  EXPECT_FALSE(netrules::open_rules(guard_intent(GuardOptions{}, *policy)).has_value());
}

}  // namespace
}  // namespace soleroute::gateway::serve
