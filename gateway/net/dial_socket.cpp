// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/dial_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace soleroute::gateway::net {
namespace {

base::Result<base::Fd> marked_socket(sa_family_t family, int type, std::uint32_t mark) {
  base::Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("socket");
  if (mark != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) {
    return base::errno_error("SO_MARK");
  }
  return fd;
}

base::Result<base::Fd> connecting(const base::Endpoint& remote, int type, std::uint32_t mark) {
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(remote.to_sockaddr(address));
  auto fd = marked_socket(address.ss_family, type, mark);
  if (!fd) return fd;
  const int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS) {
    return base::errno_error("connect to " + remote.to_string());
  }
  return fd;
}

}  // namespace

base::Result<base::Fd> begin_connect(const base::Endpoint& remote, std::uint32_t mark) {
  return connecting(remote, SOCK_STREAM, mark);
}

base::Result<base::Fd> connect_udp(const base::Endpoint& remote, std::uint32_t mark) {
  return connecting(remote, SOCK_DGRAM, mark);
}

int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

}  // namespace soleroute::gateway::net
