// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/agent_table.h"

#include <algorithm>
#include <tuple>

namespace soleroute::policy {
namespace {

bool is_before(const base::IpAddress& one, const base::IpAddress& other) {
  return std::make_tuple(one.family(), one) < std::make_tuple(other.family(), other);
}

}  // namespace

bool is_link_local(const base::IpAddress& address) {
  constexpr std::uint8_t kFirst = 0xfe;
  constexpr std::uint8_t kSecond = 0x80;
  const auto bytes = address.bytes();
  return address.is_v6() && bytes[0] == kFirst && (bytes[1] & 0xc0U) == kSecond;
}

// The first range that begins behind the address.
std::vector<AgentTable::Range>::const_iterator AgentTable::behind(const base::IpAddress& address) const {
  return std::ranges::upper_bound(ranges_, address, is_before, [](const Range& range) -> const base::IpAddress& {
    return range.addresses.address();
  });
}

std::optional<std::uint32_t> AgentTable::add(const base::Cidr& range, std::uint32_t agent) {
  const auto after = behind(range.address());
  const auto shares = [&](const Range& known) {
    return known.addresses.contains(range) || range.contains(known.addresses);
  };
  if (after != ranges_.begin() && shares(*std::prev(after))) {
    const Range& known = *std::prev(after);
    if (known.agent != agent) return known.agent;
    if (known.addresses.contains(range)) return std::nullopt;
  }
  for (auto inside = after; inside != ranges_.end() && shares(*inside); ++inside) {
    if (inside->agent != agent) return inside->agent;
  }
  std::erase_if(ranges_, [&](const Range& known) { return range.contains(known.addresses); });
  ranges_.insert(behind(range.address()), {range, agent});
  return std::nullopt;
}

std::optional<std::uint32_t> AgentTable::find(const base::IpAddress& address) const {
  const auto plain = address.unmapped();
  const auto after = behind(plain);
  if (after == ranges_.begin()) return std::nullopt;
  const Range& range = *std::prev(after);
  return range.addresses.contains(plain) ? std::optional(range.agent) : std::nullopt;
}

}  // namespace soleroute::policy
