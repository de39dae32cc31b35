// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/machine_network.h"

#include <gtest/gtest.h>

namespace soleroute::gateway::host {
namespace {

constexpr std::uint64_t kFixed = 4026531833;  // the first network namespace since Linux 6.18
constexpr std::uint64_t kLater = 4026532281;

TEST(MachineNetwork, IsTheFirstNetworkOfTheKernelOrThatOfItsHardware) {
  struct Row {
    const char* why;
    NetworkFacts facts;
    bool machine;
  };
  const Row rows[] = {
      {"a workstation, Linux 6.18", {kFixed, 3, true, true, true}, true},
      {"the same, process 1 cannot be looked at", {kFixed, 3, true, {}, true}, true},
      {"a workstation, Linux 6.12", {4026531840, 1, true, true, true}, true},
      {"the same as a user", {4026531840, 1, true, {}, true}, true},
      {"a workstation, Linux 5.10", {4026531992, {}, true, true, true}, true},
      {"the same as a user", {4026531992, {}, true, {}, true}, true},
      {"a virtual machine without an adapter", {4026531840, 1, true, true, false}, true},
      {"docker run --network host", {4026531840, 1, false, true, true}, true},
      {"the same, Linux 6.18", {kFixed, 3, false, true, true}, true},
      {"the same, Linux 5.10", {4026531992, {}, false, true, true}, true},
      {"a pod with hostNetwork: true, Linux 6.1", {4026531840, 1, false, true, true}, true},
      {"a distribution of WSL 2, whose process 1 is its own", {4026531840, 1, false, true, true}, true},
      {"the machine's process 1, kept in another network", {kLater, 5000, true, true, false}, true},

      {"a container of Compose, Kubernetes or a devcontainer", {kLater, 4097, false, true, false}, false},
      {"the same, Linux 5.10", {kLater, {}, false, true, false}, false},
      {"a container with the pod's network and its own process 1", {kLater, 4097, false, {}, false}, false},
      {"a container with an adapter of the machine (SR-IOV)", {kLater, 4097, false, true, true}, false},
      {"a container with --pid host", {kLater, 4097, true, false, false}, false},
      {"unshare -n", {kLater, 219982, true, false, false}, false},
      {"unshare -rn as a user", {kLater, 219982, true, {}, false}, false},
      {"the same, Linux 5.10", {kLater, {}, true, {}, false}, false},
      {"ip netns, with an adapter of the machine moved into it, Linux 5.10", {kLater, {}, true, false, true}, false},
      {"an LXC container with its own init", {kLater, 8193, false, true, false}, false},
      {"nothing can be read", {}, false},
  };
  for (const Row& row : rows) EXPECT_EQ(is_machine_network(row.facts), row.machine) << row.why;
}

TEST(MachineNetwork, IsGatheredFromThisProcess) {
  const NetworkFacts facts = gather_network_facts();
  EXPECT_NE(facts.namespace_inode, 0U);
  EXPECT_NE(facts.cookie, 0U);
}

}  // namespace
}  // namespace soleroute::gateway::host
