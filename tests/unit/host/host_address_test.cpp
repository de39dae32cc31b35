// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/host_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::gateway::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

netlink::DefaultRoute through(const char* address) {
  const auto via = base::IpAddress::parse(address).value();
  return {.family = via.family(), .via = via, .interface_index = 2, .metric = 0, .advertised = false};
}

std::vector<std::string> texts(const HostAddress& host) {
  std::vector<std::string> out;
  for (const auto& address : host.addresses) out.push_back(address.to_string());
  return out;
}

TEST(HostAddress, IsTheOneThatTheContainerWasTold) {
  const auto host = host_of_container(
      "127.0.0.1 localhost\n172.17.0.1\thost.docker.internal other # engine\nfd00::1 host.docker.internal\n",
      {through("10.0.0.1")});
  EXPECT_THAT(texts(host), ElementsAre("172.17.0.1", "fd00::1"));
  EXPECT_THAT(host.source, HasSubstr("host.docker.internal in /etc/hosts"));
}

TEST(HostAddress, IsElseTheNextHopOfEachFamily) {
  const auto host = host_of_container("10.1.1.1 something.else\n# 10.1.1.2 host.docker.internal\n",
                                      {through("10.0.0.1"), through("10.0.0.9"), through("fd00::9")});
  EXPECT_THAT(texts(host), ElementsAre("10.0.0.1", "fd00::9"));
  EXPECT_THAT(host.source, HasSubstr("next hop"));
}

TEST(HostAddress, IsNeverLoopbackNorTheLinkNorACloud) {
  const auto host = host_of_container("127.0.0.1 host.docker.internal\n169.254.169.254 host.containers.internal\n",
                                      {through("169.254.1.1"), through("fe80::1")});
  EXPECT_THAT(texts(host), IsEmpty());
}

}  // namespace
}  // namespace soleroute::gateway::host
