// Where a redirected datagram was going, as connection tracking remembers it (ctnetlink): for UDP no socket tells.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

// Of the network namespace in which it is opened. Asking needs CAP_NET_ADMIN there, as opening does.
[[nodiscard]] base::Result<base::Fd> open_conntrack();

// Thread-safe: one question at a time, which the kernel answers within the system call.
class Conntrack {
 public:
  explicit Conntrack(base::Fd socket);
  // The first destination of the UDP packets that arrive at `local` from `peer`. Nothing: none was redirected.
  [[nodiscard]] std::optional<base::Endpoint> original_destination(const base::Endpoint& peer,
                                                                   const base::Endpoint& local);

 private:
  std::mutex mutex_;
  base::Fd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace soleroute::gateway::netlink
