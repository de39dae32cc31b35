// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/lost_network.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::gateway::host {
namespace {

const std::string kEngines =
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

netlink::Interface named(const char* name, bool loopback) {
  netlink::Interface interface;
  interface.name = name;
  interface.loopback = loopback;
  return interface;
}

TEST(NetworkPresence, TellsAStoppedOwnerFromOneThatIsBackElsewhere) {
  struct Row {
    std::string hosts;
    NetworkPresence expected;
    const char* reason;
  };
  const Row rows[] = {
      {kEngines + "10.77.0.4\tagent\n", NetworkPresence::kReplaced, "the owner runs again"},
      {kEngines + "fd77::4\tagent\n", NetworkPresence::kReplaced, "with IPv6 alone"},
      {kEngines + "10.77.0.4 other agent", NetworkPresence::kReplaced, "as a further name, in the last line"},
      {kEngines, NetworkPresence::kLost, "it is stopped"},
      {"", NetworkPresence::kLost, "nothing is known"},
      {kEngines + "10.77.0.9\tregistry\n", NetworkPresence::kLost, "a host that the user added"},
      {kEngines + "10.77.0.9\tregistry # agent\n", NetworkPresence::kLost, "and commented"},
      {kEngines + "127.0.1.1\tagent\n", NetworkPresence::kLost, "a loopback address"},
      {kEngines + "nonsense\tagent\n", NetworkPresence::kLost, "no address"},
  };
  const std::vector alone{named("lo", true)};
  const std::vector connected{named("lo", true), named("eth0", false)};
  for (const Row& row : rows) {
    EXPECT_EQ(network_presence(alone, row.hosts, "agent"), row.expected) << row.reason;
    EXPECT_EQ(network_presence(connected, row.hosts, "agent"), NetworkPresence::kPresent) << row.reason;
  }
}

}  // namespace
}  // namespace soleroute::gateway::host
