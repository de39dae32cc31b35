// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/nat64.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/address_class.h"

namespace soleroute::policy {
namespace {

// RFC 6052 section 2.2. Byte 8 is none of the address's.
struct Layout {
  int length;
  std::array<std::size_t, 4> bytes;
};
constexpr std::array kLayouts{Layout{32, {4, 5, 6, 7}},   Layout{40, {5, 6, 7, 9}},    Layout{48, {6, 7, 9, 10}},
                              Layout{56, {7, 9, 10, 11}}, Layout{64, {9, 10, 11, 12}}, Layout{96, {12, 13, 14, 15}}};

std::optional<Layout> layout_of(int length) {
  const auto found = std::ranges::find(kLayouts, length, &Layout::length);
  return found == kLayouts.end() ? std::nullopt : std::optional(*found);
}

base::IpAddress inside(const base::IpAddress& address, const Layout& layout) {
  const auto bytes = address.bytes();
  std::array<std::uint8_t, 4> four{};
  for (std::size_t i = 0; i < four.size(); ++i) four[i] = bytes[layout.bytes[i]];
  return base::IpAddress::v4(four);
}

base::Cidr around(const base::IpAddress& address, int length) {
  std::array<std::uint8_t, 16> network{};
  const auto bytes = address.bytes();
  std::copy_n(bytes.begin(), length / 8, network.begin());
  return base::Cidr::make(base::IpAddress::v6(network), length).value_or(base::Cidr{});
}

base::Cidr range(std::string_view text) {
  return base::Cidr::parse(text).value_or(base::Cidr{});
}

bool means_something_else(const base::Cidr& prefix) {
  if (range("64:ff9b::/32").contains(prefix)) return false;
  return std::ranges::any_of(
      std::array{"::/8", "fe80::/10", "ff00::/8", "2002::/16", "2001::/32"},
      [&](const char* text) { return range(text).contains(prefix) || prefix.contains(range(text)); });
}

}  // namespace

base::Result<Nat64Prefix> Nat64Prefix::make(const base::Cidr& range) {
  if (!range.address().is_v6() || !layout_of(range.prefix_length())) {
    return base::usage_error(fmt::format(
        "'{}' is not a NAT64 prefix: it must be IPv6 of length 32, 40, 48, 56, 64 or 96", range.to_string()));
  }
  if (means_something_else(range)) {
    return base::usage_error(
        fmt::format("'{}' is not a NAT64 prefix: these addresses mean something else", range.to_string()));
  }
  return Nat64Prefix(range);
}

base::Result<Nat64Prefix> Nat64Prefix::parse(std::string_view text) {
  const auto range = base::Cidr::parse(text);
  if (!range) return std::unexpected(range.error());
  return make(*range);
}

std::optional<base::IpAddress> Nat64Prefix::embedded(const base::IpAddress& address) const {
  const auto layout = layout_of(range_.prefix_length());
  if (!layout || !address.is_v6() || !range_.contains(address)) return std::nullopt;
  return inside(address, *layout);
}

std::vector<base::IpAddress> Nat64Prefixes::beyond(const base::IpAddress& address) const {
  std::vector<base::IpAddress> out;
  for (const auto* prefixes : {&configured, &discovered}) {
    for (const auto& prefix : *prefixes) {
      if (const auto found = prefix.embedded(address)) out.push_back(*found);
    }
  }
  return out;
}

std::optional<base::IpAddress> Nat64Prefixes::meant(const base::IpAddress& address) const {
  for (const auto& prefix : configured) {
    if (const auto found = prefix.embedded(address)) return found;
  }
  return std::nullopt;
}

const Nat64Prefix* Nat64Prefixes::unconfirmed(const base::IpAddress& address) const {
  if (meant(address) || is_public(address)) return nullptr;
  const auto found =
      std::ranges::find_if(discovered, [&](const Nat64Prefix& prefix) { return prefix.embedded(address).has_value(); });
  return found == discovered.end() ? nullptr : &*found;
}

bool Nat64Prefixes::may(const base::IpAddress& address,
                        const std::function<bool(const base::IpAddress&)>& permitted) const {
  const auto well_known = beyond_nat64(address);
  const bool by_itself = meant(address) || permitted(address) || (well_known != address && permitted(well_known));
  return by_itself && std::ranges::all_of(beyond(address), permitted);
}

std::vector<Nat64Prefix> discovered_prefixes(std::span<const base::IpAddress> addresses) {
  const std::array known{base::IpAddress::v4(0xc00000aa), base::IpAddress::v4(0xc00000ab)};  // RFC 7050 section 8.2
  std::vector<Nat64Prefix> out;
  for (const auto& address : addresses) {
    if (!address.is_v6()) continue;
    for (const auto& layout : kLayouts) {
      if (std::ranges::find(known, inside(address, layout)) == known.end()) continue;
      const auto prefix = Nat64Prefix::make(around(address, layout.length));
      if (!prefix || prefix->range() == range("64:ff9b::/96")) continue;
      const bool listed = std::ranges::find(out, *prefix) != out.end();
      if (!listed && out.size() < kMaxDiscovered) out.push_back(*prefix);
    }
  }
  return out;
}

}  // namespace soleroute::policy
