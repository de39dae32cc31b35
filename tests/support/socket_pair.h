// Connected TCP sockets over loopback for tests: both ends non-blocking.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/socket.h>

#include <utility>

#include "base/fd.h"
#include "base/ip_address.h"
#include "gateway/net/listen.h"

namespace soleroute::test {

inline std::pair<base::Fd, base::Fd> tcp_pair() {
  const base::IpAddress loopback = base::IpAddress::v4(0x7f000001U);
  const auto listener = gateway::net::listen_tcp({loopback, 0}).value();
  sockaddr_storage address{};
  const base::Endpoint at{loopback, gateway::net::local_port(listener).value()};
  const auto length = static_cast<socklen_t>(at.to_sockaddr(address));
  base::Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), length);
  base::Fd server;
  while (!server) server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return {std::move(client), std::move(server)};
}

}  // namespace soleroute::test
