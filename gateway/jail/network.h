// The inside of a jail's network: loopback, an interface that leads nowhere, default routes, rules, the gateway's
// sockets. prepare_network() runs in the jail's first process; the rest outside.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/jail/channel.h"
#include "gateway/net/listen.h"
#include "netrules/plan.h"

namespace soleroute::gateway::jail {

// The gateway as programs in the jail see it: shared address space (RFC 6598) and a unique local address (RFC 4193), so
// that neither is of a network that the jail could want to reach.
[[nodiscard]] base::IpAddress jail_address_v4();  // 100.64.0.1
[[nodiscard]] base::IpAddress jail_address_v6();  // fd73:6f6c:6572::1

struct NetworkRequest {
  netrules::Intent intent;                // ports and queue are filled in when they are known
  std::uint16_t explicit_proxy_port = 0;  // 0: off
  bool udp_endpoints = false;             // the policy has some
  int workers = 1;
};

// Sets up the network namespace of the calling process, whole, or says what the kernel lacks.
[[nodiscard]] base::Result<Message> prepare_network(const NetworkRequest& request);

struct Network {
  net::Listeners listeners;
  base::Fd packet_queue;                       // empty where the kernel cannot queue packets
  std::vector<base::IpAddress> own_addresses;  // one of each family that the jail has
};
// What prepare_network() sent, as it arrived outside.
[[nodiscard]] base::Result<Network> unpack_network(Message message);

}  // namespace soleroute::gateway::jail
