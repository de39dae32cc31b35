// Whether this network namespace still has a network. The engine takes the interfaces away when the container that owns
// the namespace ends; when that container is started again, it gets a new namespace, and those who had joined the old
// one keep a loopback interface alone. They must be started again to join the new one.
// Reads the kernel's list of interfaces and /etc/hosts; keeps nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>
#include <vector>

#include "gateway/netlink/links.h"

namespace soleroute::gateway::host {

enum class NetworkPresence {
  kPresent,
  kLost,      // no interface but loopback: the owner ended
  kReplaced,  // and was started again, in another namespace
};

// An engine shares the owner's /etc/hosts with those who joined: it names the owner's own address while the owner runs,
// and not while it is stopped. Ending while it is stopped would be for good: the engine refuses to join it then, and
// does not try again.
[[nodiscard]] NetworkPresence network_presence(const std::vector<netlink::Interface>& interfaces,
                                               std::string_view hosts, std::string_view host_name);

// Looks again and again, on one thread, in a namespace that had a network.
class NetworkWatch {
 public:
  // kReplaced from the second look in a row on: the engine writes the owner's address down before it has started it.
  [[nodiscard]] NetworkPresence look();

 private:
  int replaced_ = 0;
};

inline constexpr const char* kNetworkLost =
    "this network has no interface: the container that owns it stopped. Run: docker compose up -d";
inline constexpr const char* kNetworkReplaced =
    "the container that owns this network restarted with a new network; exiting, so that the engine restarts this "
    "container in it";

}  // namespace soleroute::gateway::host
