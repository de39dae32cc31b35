// NAT64 prefixes (RFC 6052): which IPv4 address a translator makes of an IPv6 address, and what that means for a dial.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::policy {

class Nat64Prefix {
 public:
  // A length of RFC 6052 section 2.2: 32, 40, 48, 56, 64 or 96. Refused: other lengths, IPv4, and ranges that mean
  // something else (loopback, link-local, multicast, mapped and other addresses of ::/8 but 64:ff9b::/32).
  [[nodiscard]] static base::Result<Nat64Prefix> make(const base::Cidr& range);
  [[nodiscard]] static base::Result<Nat64Prefix> parse(std::string_view text);

  // The IPv4 address inside; nothing for an address outside the prefix.
  [[nodiscard]] std::optional<base::IpAddress> embedded(const base::IpAddress& address) const;
  [[nodiscard]] const base::Cidr& range() const { return range_; }

  bool operator==(const Nat64Prefix&) const = default;

 private:
  explicit Nat64Prefix(const base::Cidr& range) : range_(range) {}
  base::Cidr range_;
};

struct Nat64Prefixes {
  std::vector<Nat64Prefix> configured{};  // by a person: such an address is what is inside it, and nothing else
  // By a resolver (RFC 7050), which may lie: what is inside must be permitted too, and the address stays what it is.
  std::vector<Nat64Prefix> discovered{};

  // Every IPv4 address that a translator of one of these prefixes may make of `address`.
  [[nodiscard]] std::vector<base::IpAddress> beyond(const base::IpAddress& address) const;
  // What a configured prefix makes of `address`.
  [[nodiscard]] std::optional<base::IpAddress> meant(const base::IpAddress& address) const;
  // The discovered prefix that has `address`, which is none that a name may lead to by itself.
  [[nodiscard]] const Nat64Prefix* unconfirmed(const base::IpAddress& address) const;
  // May `address` be dialled, by a rule about one address as it is? An address of the well-known prefix may also be
  // permitted by the address inside it.
  [[nodiscard]] bool may(const base::IpAddress& address,
                         const std::function<bool(const base::IpAddress&)>& permitted) const;
};

// The prefixes in AAAA records of ipv4only.arpa (RFC 7050 section 3): at most kMaxDiscovered, without the well-known
// one. A resolver that puts the known addresses in two places of one address gives both.
inline constexpr std::size_t kMaxDiscovered = 16;
[[nodiscard]] std::vector<Nat64Prefix> discovered_prefixes(std::span<const base::IpAddress> addresses);

}  // namespace soleroute::policy
