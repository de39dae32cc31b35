// What the kernel tells of changes in this network namespace: nftables, links, addresses, routes, forwarding and its
// like. It says that something changed, not what: whoever hears it looks.
// Not thread-safe. Owns two sockets that do not block; about the network namespace of the thread that subscribed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::netrules {

class Changes {
 public:
  [[nodiscard]] static base::Result<Changes> subscribe();
  // Readable when there is something to hear; borrowed.
  [[nodiscard]] std::array<int, 2> sockets() const { return {routing_.get(), rules_.get()}; }
  // Takes away what was told, a bounded part at a time. A kernel that had too much to say counts as having spoken.
  void hear();

 private:
  base::Fd routing_, rules_;
};

}  // namespace soleroute::netrules
