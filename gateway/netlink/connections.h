// The kernel's table of connections in the calling thread's network namespace, over ctnetlink (libmnl).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

struct TrackedConnection {
  std::uint8_t protocol = 0;  // IPPROTO_TCP, IPPROTO_UDP
  base::Endpoint source{};
  base::Endpoint destination{};   // as its client named it
  base::Endpoint answers_from{};  // another one where it was redirected
  bool redirected = false;
};

struct Forgotten {
  std::size_t entries = 0;
  bool all = true;  // false: there were more than kMaxForgotten
};
inline constexpr std::size_t kMaxForgotten = 65536;

// Removes the entries of TCP and UDP for which `is_stale` says so: the next packet of such a flow is a new
// connection's. Reads the whole table once. Errors are kSystem: the kernel has no ctnetlink, or does not let this
// process use it.
[[nodiscard]] base::Result<Forgotten> forget_connections(const std::function<bool(const TrackedConnection&)>& is_stale);

}  // namespace soleroute::gateway::netlink
