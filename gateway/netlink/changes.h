// What the kernel tells of changes in this network namespace: nftables, links, addresses, routes, forwarding and its
// like, or of addresses and routes alone. It says that something changed, not what: whoever hears it looks.
// Not thread-safe. Owns at most two sockets that do not block; about the network namespace of the thread that
// subscribed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

class Changes {
 public:
  enum class About : std::uint8_t { kEverything, kAddressesAndRoutes };  // the latter needs no privilege
  [[nodiscard]] static base::Result<Changes> subscribe(About about);
  // Readable when there is something to hear; borrowed.
  [[nodiscard]] std::vector<int> sockets() const;
  // Takes away what was told, a bounded part at a time. A kernel that had too much to say counts as having spoken.
  void hear() const;

 private:
  base::Fd routing_, rules_;
};

}  // namespace soleroute::gateway::netlink
