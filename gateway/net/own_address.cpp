// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/own_address.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/fd.h"

namespace soleroute::gateway::net {
namespace {

using Clock = std::chrono::steady_clock;

bool is_v4_loopback(const base::IpAddress& address) {
  return address.is_v4() && address.bytes()[0] == 127;
}

bool is_unspecified(const base::IpAddress& address) {
  return std::ranges::all_of(address.unmapped().bytes(), [](std::uint8_t octet) { return octet == 0; });
}

// A socket of each family, to be connected again and again: making one costs three times as much.
class Asker {
 public:
  [[nodiscard]] bool leads_here(const base::IpAddress& address) {
    const Known& known = known_[slot(address)];
    if (known.address == address && Clock::now() - known.at < kOtherFor) return false;
    const bool here = is_unspecified(address) || ask(address);
    if (!here) known_[slot(address)] = {address, Clock::now()};
    return here;
  }

 private:
  struct Known {  // an address that is somebody else's
    base::IpAddress address{};
    Clock::time_point at{};
  };

  static std::size_t slot(const base::IpAddress& address) { return std::hash<base::IpAddress>{}(address) % kSlots; }

  // Towards an address of its own the kernel chooses that address as the source, or 127.0.0.1 towards all of
  // 127.0.0.0/8.
  bool ask(const base::IpAddress& address) {
    constexpr std::uint16_t kDiscard = 9;
    sockaddr_storage name{};
    auto length = static_cast<socklen_t>(base::Endpoint{address, kDiscard}.to_sockaddr(name));
    base::Fd& socket = name.ss_family == AF_INET ? v4_ : v6_;
    if (!socket) socket = base::Fd(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return errno != EAFNOSUPPORT;
    const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
    if (::connect(socket.get(), &nobody, sizeof nobody) != 0) return true;  // else the source before would stay
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) return false;
    length = sizeof name;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) return true;
    const auto source = base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(name)).address.unmapped();
    return is_v4_loopback(source) || source == address.unmapped();
  }

  static constexpr std::size_t kSlots = 64;
  base::Fd v4_, v6_;
  std::array<Known, kSlots> known_{};
};

}  // namespace

bool is_own_address(const base::IpAddress& address) {
  thread_local Asker asker;
  return asker.leads_here(address);
}

bool means_own_address(std::span<const base::Cidr> ranges, const base::IpAddress& address) {
  return std::ranges::any_of(ranges, [&](const base::Cidr& range) {
    const bool exact = range.prefix_length() == range.address().bits();
    const bool loopback = range.prefix_length() >= 8 && is_v4_loopback(range.address());
    return (exact || loopback) && (range.contains(address) || range.contains(address.unmapped()));
  });
}

}  // namespace soleroute::gateway::net
