// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "gateway/netlink/address_probe.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::gateway::netlink::testing {
namespace {

using namespace netrules::testing;  // NOLINT(google-build-using-namespace)
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

base::InterfaceAddress at(const char* text) {
  return *base::InterfaceAddress::parse(text);
}

class Links : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
    neighbour_ = make_namespace();
    add_veth("in0", "peer0", neighbour_);
  }
  Interface find(const std::string& name) {
    const auto interfaces = list_interfaces();
    EXPECT_TRUE(interfaces);
    const auto found = std::ranges::find(*interfaces, name, &Interface::name);
    EXPECT_NE(found, interfaces->end()) << name;
    return found == interfaces->end() ? Interface{} : *found;
  }
  base::Fd neighbour_;
};

TEST_F(Links, ListsInterfacesWithStateAndAddressesOfBothFamilies) {
  EXPECT_TRUE(find("lo").loopback);
  EXPECT_TRUE(find("lo").up);
  EXPECT_THAT(find("lo").addresses, Contains(at("127.0.0.1/8")));
  EXPECT_THAT(find("lo").addresses, Contains(at("::1/128")));
  EXPECT_FALSE(find("in0").loopback);
  EXPECT_FALSE(find("in0").up);
  EXPECT_THAT(find("in0").addresses, IsEmpty());
}

TEST_F(Links, BringsUpAndAddsAndRemovesAddresses) {
  const int index = find("in0").index;
  ASSERT_TRUE(set_interface_up(index));
  EXPECT_TRUE(find("in0").up);
  for (const char* text : {"10.77.0.2/24", "fd77::2/64"}) {
    ASSERT_TRUE(add_address(index, at(text))) << text;
    ASSERT_TRUE(add_address(index, at(text))) << "adding what is there is success: " << text;
    EXPECT_THAT(find("in0").addresses, Contains(at(text)));
    ASSERT_TRUE(remove_address(index, at(text)));
    EXPECT_THAT(find("in0").addresses, Not(Contains(at(text))));
    const auto again = remove_address(index, at(text));
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().message, ::testing::HasSubstr(text));
  }
  EXPECT_FALSE(add_address(99999, at("10.1.2.3/24"))) << "no such interface";
}

TEST_F(Links, AddsReplacesAndRemovesDefaultRoutes) {
  const int index = find("in0").index;
  ASSERT_TRUE(set_interface_up(index));
  ASSERT_TRUE(add_address(index, at("10.77.0.2/24")));
  ASSERT_TRUE(add_address(index, at("fd77::2/64")));
  inside(neighbour_, [] { ip("link set peer0 up"); });
  for (const auto& [first, second] : {std::pair{"10.77.0.1", "10.77.0.9"}, std::pair{"fd77::1", "fd77::9"}}) {
    const auto via = *base::IpAddress::parse(first);
    DefaultRoute route{.family = via.family(), .via = via, .interface_index = index, .metric = 100};
    const auto same = [&](const DefaultRoute& r) { return r.via == route.via && r.metric == 100; };
    ASSERT_TRUE(add_default_route(route)) << first;
    EXPECT_EQ(std::ranges::count_if(*list_default_routes(), same), 1);
    route.via = *base::IpAddress::parse(second);
    const auto status = add_default_route(route);
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(std::ranges::count_if(*list_default_routes(), same), 1);
    ASSERT_TRUE(remove_default_route(route));
    EXPECT_EQ(std::ranges::count_if(*list_default_routes(), same), 0);
  }
}

TEST_F(Links, KeepsRoutesOfOtherMetricsWhenItAddsOne) {
  const int index = find("in0").index;
  ASSERT_TRUE(set_interface_up(index));
  ASSERT_TRUE(add_address(index, at("10.77.0.2/24")));
  ip("route add default via 10.77.0.3 metric 50");
  ASSERT_TRUE(add_default_route({base::Family::kV4, *base::IpAddress::parse("10.77.0.1"), index, 100}));
  EXPECT_EQ(list_default_routes()->size(), 2U);
}

TEST_F(Links, AddsADefaultRouteWithoutNextHop) {
  const int lo = find("lo").index;
  ASSERT_TRUE(add_default_route({base::Family::kV4, std::nullopt, lo, 0}));
  ASSERT_TRUE(add_default_route({base::Family::kV6, std::nullopt, lo, 0}));
  const auto routes = list_default_routes();
  ASSERT_TRUE(routes);
  EXPECT_EQ(std::ranges::count_if(*routes, [&](const auto& r) { return r.interface_index == lo && !r.via; }), 2);
}

TEST_F(Links, ListsRoutesOfEveryTableButNoDefaultRoute) {
  const int index = find("in0").index;
  ASSERT_TRUE(set_interface_up(index));
  ASSERT_TRUE(add_address(index, at("10.77.0.2/24")));
  ip("route add 10.9.0.0/16 via 10.77.0.3");
  ip("route add 10.8.0.0/16 via 10.77.0.3 table 51820");
  ip("route add default via 10.77.0.3");
  ip("route add blackhole 10.7.0.0/16");
  std::vector<std::string> found;
  const auto routes = list_routes().value();
  for (const auto& route : routes) {
    if (route.interface_index == index && route.destination.address().is_v4()) {
      found.push_back(route.destination.to_string());
    }
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAre("10.77.0.0/24", "10.9.0.0/16", "10.8.0.0/16"));
}

TEST_F(Links, KnowsWhetherSomebodyElseHasAnAddress) {
  ip("link set in0 up");
  inside(neighbour_, [] {
    ip("link set peer0 up");
    ip("addr add 10.77.0.10/24 dev peer0");
    ip("addr add fd77::10/64 dev peer0 nodad");
  });
  const int index = find("in0").index;
  for (const auto& [text, expected] : {std::pair{"10.77.0.10", true}, std::pair{"10.77.0.2", false},
                                       std::pair{"fd77::10", true}, std::pair{"fd77::2", false}}) {
    const auto used = address_in_use(index, *base::IpAddress::parse(text));
    ASSERT_TRUE(used) << text << ": " << used.error().message;
    EXPECT_EQ(*used, expected) << text;
  }
}

}  // namespace
}  // namespace soleroute::gateway::netlink::testing
