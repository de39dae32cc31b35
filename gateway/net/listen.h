// Sockets that redirected and direct connections arrive on, opened in whatever network namespace the caller stands in.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::net {

// All non-blocking, close-on-exec, SO_REUSEPORT. Port 0: the kernel chooses (see local_port).
// A listening TCP socket; for [::] dual-stack, falling back to 0.0.0.0 where IPv6 is off.
[[nodiscard]] base::Result<base::Fd> listen_tcp(const base::Endpoint& at);
// A UDP socket with IP_PKTINFO and IPV6_RECVPKTINFO, dual-stack likewise.
[[nodiscard]] base::Result<base::Fd> bind_udp(const base::Endpoint& at);
// The kernel tells with each recvmsg(2) what is left behind (TCP_INQ, Linux 4.18); what is accepted from a listener
// inherits it, and the listeners made here have it. Where it cannot, reads are tried in vain.
void ask_what_is_left(int socket);
[[nodiscard]] base::Result<std::uint16_t> local_port(const base::Fd& socket);

// The ports that redirect rules name. One number each, the same for all workers.
struct ListenPorts {
  std::uint16_t redirected = 0;      // TCP 80, 443 and endpoints arrive here
  std::uint16_t dns = 0;             // UDP and TCP
  std::uint16_t explicit_proxy = 0;  // 0: off
  std::uint16_t udp = 0;             // UDP endpoints; 0: off
  auto operator<=>(const ListenPorts&) const = default;
};

// One element per worker in each vector.
struct Listeners {
  std::vector<base::Fd> redirected;
  std::vector<base::Fd> dns_udp;
  std::vector<base::Fd> dns_tcp;
  std::vector<base::Fd> explicit_proxy;  // empty: off
  std::vector<base::Fd> udp{};           // empty: off
  base::Fd conntrack{};                  // netlink::open_conntrack() of their network namespace; none without `udp`
  ListenPorts ports;
};

struct ListenRequest {
  base::IpAddress address;     // usually ::
  ListenPorts ports;           // 0: any free one (explicit_proxy: see below)
  bool explicit_proxy = true;  // wanted at all
  bool udp = false;            // likewise, beside DNS
  // For a port that may be any: taken if it is free for TCP and UDP, to have the same ones after a restart.
  ListenPorts preferred{};
  // Where redirected connections and DNS are awaited instead.
  std::optional<base::IpAddress> captured_at{};
  // Where the explicit proxy is awaited instead.
  std::optional<base::IpAddress> explicit_proxy_at{};
  int workers = 1;
};
// Opens all, or none and an error naming the port that is taken.
[[nodiscard]] base::Result<Listeners> open_listeners(const ListenRequest& asked);

}  // namespace soleroute::gateway::net
