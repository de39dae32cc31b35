// IP addresses, prefixes and endpoints of both families, as values parsed once at the edge.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct sockaddr;
struct sockaddr_storage;

namespace soleroute::base {

enum class Family : std::uint8_t { kV4, kV6 };

// An IPv4-mapped IPv6 address (::ffff:a.b.c.d) stays what it was given as; see unmapped().
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  [[nodiscard]] static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  [[nodiscard]] static IpAddress v4(std::uint32_t host_order);
  [[nodiscard]] static IpAddress v6(std::array<std::uint8_t, 16> bytes);
  // Dotted quad without leading zeros, or RFC 4291 section 2.2 text without zone; nothing else.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::kV4; }
  [[nodiscard]] bool is_v6() const { return family_ == Family::kV6; }
  // 4 or 16 bytes, network order.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4U : 16U}; }
  [[nodiscard]] int bits() const { return is_v4() ? 32 : 128; }
  // ::ffff:a.b.c.d becomes a.b.c.d; every other address is unchanged.
  [[nodiscard]] IpAddress unmapped() const;
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  Family family_ = Family::kV4;
};

// An address prefix with host bits zero.
class Cidr {
 public:
  Cidr() = default;  // 0.0.0.0/32
  // "10.0.0.0/8", "2001:db8::/32", or a bare address (full length). Host bits set are an error that shows the fix.
  [[nodiscard]] static Result<Cidr> parse(std::string_view text);
  [[nodiscard]] static Result<Cidr> make(IpAddress address, int prefix_length);

  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const Cidr& other) const;
  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] int prefix_length() const { return prefix_length_; }
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const Cidr&) const = default;

 private:
  IpAddress address_;
  int prefix_length_ = 32;
};

// An interface address: host bits kept ("10.77.0.2/24").
struct InterfaceAddress {
  IpAddress address;
  int prefix_length = 32;

  [[nodiscard]] static Result<InterfaceAddress> parse(std::string_view text);
  [[nodiscard]] Cidr subnet() const;
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const InterfaceAddress&) const = default;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "1.2.3.4:53", "[::1]:53"; with default_port != 0 also a bare address.
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text, std::uint16_t default_port = 0);
  // IPv4-mapped addresses become IPv4. Precondition: AF_INET or AF_INET6.
  [[nodiscard]] static Endpoint from_sockaddr(const sockaddr& address);
  // Returns the length used.
  unsigned to_sockaddr(sockaddr_storage& out) const;
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace soleroute::base

template <>
struct std::hash<soleroute::base::IpAddress> {
  std::size_t operator()(const soleroute::base::IpAddress& address) const noexcept {
    const auto bytes = address.bytes();
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
};
