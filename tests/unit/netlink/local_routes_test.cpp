// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/local_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/unit/netrules/support.h"

namespace soleroute::gateway::netlink::testing {
namespace {

using namespace netrules::testing;  // NOLINT(google-build-using-namespace)
using ::testing::Contains;
using ::testing::Not;

class LocalRoutes : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
    neighbour_ = make_namespace();
    add_veth("in0", "peer0", neighbour_);
    ip("link set lo up");
    ip("link set in0 up");
    ip("address add 45.33.32.1/24 dev in0");
    ip("address add 2600:3c01::1/64 dev in0 nodad");
  }
  base::Result<bool> ends_here(const char* text, std::uint32_t mark = 0) {
    return questions_.ends_here(*base::IpAddress::parse(text), mark);
  }
  static std::vector<std::string> listed() {
    std::vector<std::string> out;
    const auto prefixes = list_local_routes();
    EXPECT_TRUE(prefixes);
    if (!prefixes) return out;
    for (const auto& prefix : *prefixes) out.push_back(prefix.to_string());
    return out;
  }
  base::Fd neighbour_;
  RouteQuestions questions_;
};

TEST_F(LocalRoutes, AreTheMachinesAddressesAndWhatItWasGiven) {
  ip("address add 45.33.32.77/24 dev in0");  // a secondary one: it is no source towards itself
  ip("-6 route add local 2600:3c01:0:9::/64 dev lo");
  ip("route add 198.51.100.0/24 via 45.33.32.9");
  for (const char* own : {"45.33.32.1", "45.33.32.77", "::ffff:45.33.32.77", "2600:3c01::1", "2600:3c01:0:9::5",
                          "127.0.0.1", "127.200.3.4", "::1", "0.0.0.0", "::"}) {
    EXPECT_TRUE(ends_here(own).value()) << own;
  }
  for (const char* other : {"45.33.32.2", "198.51.100.7", "192.0.2.1", "2600:3c01::2", "2001:db8::1"}) {
    EXPECT_FALSE(ends_here(other).value()) << other;
  }
  const auto prefixes = listed();
  for (const char* own :
       {"45.33.32.1/32", "45.33.32.77/32", "127.0.0.0/8", "::1/128", "2600:3c01::1/128", "2600:3c01:0:9::/64"}) {
    EXPECT_THAT(prefixes, Contains(own));
  }
  EXPECT_THAT(prefixes, Not(Contains("45.33.32.0/24")));
  ip("address del 45.33.32.77/24 dev in0");
  EXPECT_FALSE(ends_here("45.33.32.77").value());
  EXPECT_THAT(listed(), Not(Contains("45.33.32.77/32")));
}

TEST_F(LocalRoutes, OfATransparentProxyAreForItsOwnPacketsAlone) {
  ip("rule add fwmark 7 lookup 100");
  ip("route add local 0.0.0.0/0 dev lo table 100");
  ip("route add default via 45.33.32.9");
  EXPECT_FALSE(ends_here("8.8.8.8").value());
  EXPECT_TRUE(ends_here("8.8.8.8", 7).value());
  EXPECT_THAT(listed(), Not(Contains("0.0.0.0/0")));
}

TEST_F(LocalRoutes, AreAskedForWithoutAFurtherDescriptor) {
  ASSERT_TRUE(ends_here("45.33.32.1").value());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  RouteQuestions late;
  const auto unknown = late.ends_here(*base::IpAddress::parse("192.0.2.1"), 0);
  const auto own = ends_here("45.33.32.1");
  const auto other = ends_here("192.0.2.1");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(unknown) << "what cannot be asked is not known";
  EXPECT_TRUE(own.value());
  EXPECT_FALSE(other.value());
  EXPECT_FALSE(late.ends_here(*base::IpAddress::parse("192.0.2.1"), 0).value()) << "and can be asked later";
}

TEST_F(LocalRoutes, OfANamespaceWithoutAnyAreNone) {
  inside(make_namespace(), [&] {
    EXPECT_TRUE(list_local_routes());
    RouteQuestions questions;
    EXPECT_FALSE(questions.ends_here(*base::IpAddress::parse("192.0.2.1"), 0).value());
  });
}

}  // namespace
}  // namespace soleroute::gateway::netlink::testing
