// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/own_address.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/fd.h"

namespace soleroute::gateway::net {

namespace {

using NameOf = int (*)(int, sockaddr*, socklen_t*);

base::IpAddress address_of(const base::Fd& socket, NameOf name_of) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (name_of(socket.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) return {};
  return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(name)).address.unmapped();
}

bool is_v4_loopback(const base::IpAddress& address) {
  return address.is_v4() && address.bytes()[0] == 127;
}

}  // namespace

// Towards an address of its own the kernel chooses that address as the source, or 127.0.0.1 towards all of 127.0.0.0/8;
// 0.0.0.0 and :: become loopback.
bool is_own_address(const base::IpAddress& address) {
  constexpr std::uint16_t kDiscard = 9;
  sockaddr_storage name{};
  const auto length = static_cast<socklen_t>(base::Endpoint{address, kDiscard}.to_sockaddr(name));
  const base::Fd socket(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno != EAFNOSUPPORT;
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) return false;
  const base::IpAddress source = address_of(socket, ::getsockname);
  return is_v4_loopback(source) || source == address_of(socket, ::getpeername);
}

bool means_own_address(std::span<const base::Cidr> ranges, const base::IpAddress& address) {
  return std::ranges::any_of(ranges, [&](const base::Cidr& range) {
    const bool exact = range.prefix_length() == range.address().bits();
    const bool loopback = range.prefix_length() >= 8 && is_v4_loopback(range.address());
    return (exact || loopback) && (range.contains(address) || range.contains(address.unmapped()));
  });
}

}  // namespace soleroute::gateway::net
