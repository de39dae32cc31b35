// Is this network namespace the machine's own? Rules that are programmed there cut off the whole machine.
// The judgement is pure; gathering reads the calling thread's network namespace, /proc and /sys.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>

namespace soleroute::gateway::host {

struct NetworkFacts {
  std::uint64_t namespace_inode = 0;      // of /proc/self/ns/net; 0: cannot be read
  std::optional<std::uint64_t> cookie{};  // SO_NETNS_COOKIE; absent before Linux 5.14
  bool first_pid_namespace = false;       // the kernel's first, as outside containers
  std::optional<bool> is_of_pid_1{};      // the same network namespace as process 1; absent: cannot be read
  bool has_hardware = false;              // an interface here belongs to a device of the machine
};

// The machine's: the kernel's first network namespace, from outside a container or from inside (`--network host`,
// `hostNetwork: true`). Not the machine's: what `unshare -n`, `ip netns` and container engines make, even where an
// adapter of the machine was moved into it. Where the kernel does not tell, hardware decides.
[[nodiscard]] bool is_machine_network(const NetworkFacts& facts);

[[nodiscard]] NetworkFacts gather_network_facts();

}  // namespace soleroute::gateway::host
