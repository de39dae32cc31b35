// Which addresses are this machine's own, as its kernel routes them: a route of type "local" leads to a program here.
// About the network namespace of the thread that opens the socket. RouteQuestions is not thread-safe and owns a socket.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

// Of the kernel's own table: each address of an interface, 127.0.0.0/8, whole prefixes that somebody gave to the
// machine ("ip route add local"), anycast. Tables that only some packets are looked up in are left out: a transparent
// proxy has everything there.
[[nodiscard]] base::Result<std::vector<base::Cidr>> list_local_routes();

// One address at a time, on a socket that is kept: a send and a receive, which the kernel answers at once.
class RouteQuestions {
 public:
  // Would a connection to it, from a socket with this SO_MARK (0: none), end on this machine? By the rules and tables
  // that such a connection is routed by. An error: the kernel did not say, nothing is known.
  [[nodiscard]] base::Result<bool> ends_here(const base::IpAddress& given, std::uint32_t mark);

 private:
  [[nodiscard]] base::Status open();
  [[nodiscard]] base::Result<bool> hear(bool v6);

  base::Fd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace soleroute::gateway::netlink
