// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/own_address.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace soleroute::gateway::net {

namespace {

bool is_v4_loopback(const base::IpAddress& address) {
  return address.is_v4() && address.bytes()[0] == 127;
}

}  // namespace

OwnAddresses::OwnAddresses(std::vector<base::Cidr> prefixes) {
  for (const std::string_view always : {"127.0.0.0/8", "0.0.0.0/32", "::1/128", "::/128"}) {
    prefixes.push_back(*base::Cidr::parse(always));
  }
  std::ranges::sort(prefixes);  // one comes after that which it is in
  for (const base::Cidr& prefix : prefixes) {
    Prefixes& kept = by_family_[prefix.address().is_v4() ? 0 : 1];
    if (kept.empty() || !kept.back().contains(prefix)) kept.push_back(prefix);
  }
}

bool OwnAddresses::contains(const base::IpAddress& given) const {
  const auto address = given.unmapped();
  const Prefixes& prefixes = of(address.family());
  const auto after = std::ranges::upper_bound(prefixes, address, {}, &base::Cidr::address);
  return after != prefixes.begin() && std::prev(after)->contains(address);
}

std::shared_ptr<const OwnAddresses> OwnAddressBook::now() const {
  const std::lock_guard lock(mutex_);
  return addresses_;
}

void OwnAddressBook::set(std::shared_ptr<const OwnAddresses> addresses) {
  const std::lock_guard lock(mutex_);
  addresses_ = std::move(addresses);
}

bool means_own_address(std::span<const base::Cidr> ranges, const base::IpAddress& address) {
  return std::ranges::any_of(ranges, [&](const base::Cidr& range) {
    const bool exact = range.prefix_length() == range.address().bits();
    const bool loopback = range.prefix_length() >= 8 && is_v4_loopback(range.address());
    return (exact || loopback) && (range.contains(address) || range.contains(address.unmapped()));
  });
}

}  // namespace soleroute::gateway::net
