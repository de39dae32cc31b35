// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/listen.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/net/peer_silence.h"
#include "gateway/netlink/conntrack.h"

namespace soleroute::gateway::net {
namespace {

constexpr int kBacklog = 4096;
constexpr int kPortAttempts = 16;  // for one free number on both UDP and TCP

enum class Sharing { kAlone, kReusePort };

base::Status enable(int fd, int level, int option, const char* what) {
  const int on = 1;
  if (::setsockopt(fd, level, option, &on, sizeof on) == 0) return {};
  return base::errno_error(what);
}

base::Result<base::Fd> bound(const base::Endpoint& at, int type, Sharing sharing) {
  const int family = at.address.is_v4() ? AF_INET : AF_INET6;
  base::Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("socket for " + at.to_string());
  if (family == AF_INET6) {
    const int off = 0;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (type == SOCK_STREAM) {
    SR_TRY(enable(fd.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"));
  }
  if (sharing == Sharing::kReusePort) {
    SR_TRY(enable(fd.get(), SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"));
  }
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(at.to_sockaddr(address));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return base::errno_error("cannot listen on " + at.to_string());
  }
  return fd;
}

// [::] where IPv6 is compiled out or disabled becomes 0.0.0.0.
base::Result<base::Fd> bound_with_fallback(const base::Endpoint& at, int type, Sharing sharing) {
  auto fd = bound(at, type, sharing);
  const bool any_v6 = at.address == base::IpAddress::v6({});
  const int error = fd ? 0 : fd.error().sys_errno;
  if (fd || !any_v6 || (error != EAFNOSUPPORT && error != EADDRNOTAVAIL)) return fd;
  return bound({base::IpAddress::v4(0U), at.port}, type, sharing);
}

// Clients are on this machine, and a link that loses nothing needs no pacing: where the system's choice is BBR, its
// timers cost more than the bytes. Reno is in every kernel and free to all; accepted sockets inherit it.
void do_not_pace(int listener) {
  constexpr std::string_view kReno = "reno";
  ::setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, kReno.data(), kReno.size());
}

base::Result<base::Fd> listening(const base::Endpoint& at, Sharing sharing) {
  auto fd = bound_with_fallback(at, SOCK_STREAM, sharing);
  if (!fd) return fd;
  // Accepted sockets inherit it: one system call less for each connection.
  const int on = 1;
  ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ask_what_is_left(fd->get());
  do_not_pace(fd->get());
  keep_alive_clients_of(fd->get());
  if (::listen(fd->get(), kBacklog) != 0) return base::errno_error("listen on " + at.to_string());
  return fd;
}

base::Result<base::Fd> datagram(const base::Endpoint& at, Sharing sharing) {
  auto fd = bound_with_fallback(at, SOCK_DGRAM, sharing);
  if (!fd) return fd;
  // The one of the other family fails harmlessly.
  const int on = 1;
  ::setsockopt(fd->get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  ::setsockopt(fd->get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  return fd;
}

using Opener = base::Result<base::Fd> (*)(const base::Endpoint&, Sharing);

// `count` sockets on one port; `port` 0 becomes the number that the kernel chose.
base::Status open_group(Opener open, const base::IpAddress& address, int count, std::uint16_t& port,
                        std::vector<base::Fd>& into) {
  const Sharing sharing = count > 1 ? Sharing::kReusePort : Sharing::kAlone;
  for (int i = 0; i < count; ++i) {
    SR_LET(fd, open({address, port}, sharing));
    SR_LET(chosen, local_port(*fd));
    port = *chosen;
    into.push_back(std::move(*fd));
  }
  return {};
}

// One number for UDP and TCP. When the kernel chooses for UDP, TCP may have it taken, and our own listeners of the same
// number would share it without a word: try others.
base::Status open_dns(const ListenRequest& request, Listeners& listeners) {
  for (int attempt = 0;; ++attempt) {
    std::uint16_t port = request.ports.dns;
    listeners.dns_udp.clear();
    listeners.dns_tcp.clear();
    const base::IpAddress at = request.captured_at.value_or(request.address);
    auto status = open_group(datagram, at, request.workers, port, listeners.dns_udp);
    if (status) status = open_group(listening, at, request.workers, port, listeners.dns_tcp);
    listeners.ports.dns = port;
    const bool unusable = status ? port == listeners.ports.redirected : status.error().sys_errno == EADDRINUSE;
    const bool again = unusable && request.ports.dns == 0;
    if (!again || attempt == kPortAttempts) return status;
  }
}

// The kernel never chooses the port of DNS: that is taken by then.
base::Status open_udp(const ListenRequest& request, const base::IpAddress& at, Listeners& listeners) {
  SR_LET(conntrack, netlink::open_conntrack());
  listeners.conntrack = std::move(*conntrack);
  return open_group(datagram, at, request.workers, listeners.ports.udp, listeners.udp);
}

// Nobody has it, not even with others: a hung program that shares it would be given a part of what comes.
bool is_free(const base::IpAddress& address, std::uint16_t port) {
  // Not listened on: a client that came just then would be answered, and then reset.
  const auto listener = bound_with_fallback({address, port}, SOCK_STREAM, Sharing::kAlone);
  if (!listener) return false;
  return bound_with_fallback({address, port}, SOCK_DGRAM, Sharing::kAlone).has_value();
}

std::uint16_t chosen(std::uint16_t wanted, std::uint16_t preferred, const base::IpAddress& address) {
  if (wanted != 0 || preferred == 0) return wanted;
  return is_free(address, preferred) ? preferred : 0;
}

}  // namespace

void ask_what_is_left(int socket) {
  constexpr int kOn = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_INQ, &kOn, sizeof kOn);
}

base::Result<base::Fd> listen_tcp(const base::Endpoint& at) {
  return listening(at, Sharing::kAlone);
}

base::Result<base::Fd> bind_udp(const base::Endpoint& at) {
  return datagram(at, Sharing::kAlone);
}

base::Result<std::uint16_t> local_port(const base::Fd& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return base::errno_error("getsockname");
  }
  return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(address)).port;
}

base::Result<Listeners> open_listeners(const ListenRequest& asked) {
  ListenRequest request = asked;
  const base::IpAddress captured_at = request.captured_at.value_or(request.address);
  request.ports.redirected = chosen(request.ports.redirected, request.preferred.redirected, captured_at);
  request.ports.dns = chosen(request.ports.dns, request.preferred.dns, captured_at);
  Listeners listeners;
  listeners.ports = request.ports;
  auto status = open_group(listening, captured_at, request.workers, listeners.ports.redirected, listeners.redirected);
  if (status) status = open_dns(request, listeners);
  if (status && request.explicit_proxy) {
    const base::IpAddress at = request.explicit_proxy_at.value_or(request.address);
    status = open_group(listening, at, request.workers, listeners.ports.explicit_proxy, listeners.explicit_proxy);
  }
  if (status && request.udp) {
    listeners.ports.udp = chosen(request.ports.udp, request.preferred.udp, captured_at);
    status = open_udp(request, captured_at, listeners);
  }
  if (!status) return std::unexpected(status.error());
  return listeners;
}

}  // namespace soleroute::gateway::net
