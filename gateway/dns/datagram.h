// UDP questions and answers on an unconnected socket: an answer leaves from the address the question came to.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <span>

#include "base/ip_address.h"

namespace soleroute::gateway::dns {

struct DatagramOrigin {
  sockaddr_storage peer{};
  socklen_t peer_length = 0;
  std::optional<base::IpAddress> local;  // where it was sent to; mapped to IPv6 on an IPv6 socket
  unsigned interface_index = 0;

  [[nodiscard]] base::IpAddress client() const;  // IPv4-mapped addresses as IPv4
};

struct Datagram {
  std::size_t size = 0;  // larger than the buffer if it was cut
  DatagramOrigin origin;
};

// nullopt: nothing is waiting. Needs IP_PKTINFO or IPV6_RECVPKTINFO on the socket.
[[nodiscard]] std::optional<Datagram> receive_datagram(int socket, std::span<std::byte> into);
// Best effort, as UDP is.
void send_datagram(int socket, const DatagramOrigin& to, std::span<std::byte> bytes);

}  // namespace soleroute::gateway::dns
