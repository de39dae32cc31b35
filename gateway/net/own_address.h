// Which addresses are this machine's own: a snapshot of what its kernel routes to itself, shared by the workers.
// OwnAddresses is immutable; OwnAddressBook is thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::gateway::net {

class OwnAddresses {
 public:
  // Loopback and the unspecified addresses are in it, whatever `prefixes` say.
  explicit OwnAddresses(std::vector<base::Cidr> prefixes);
  [[nodiscard]] bool contains(const base::IpAddress& given) const;

 private:
  using Prefixes = std::vector<base::Cidr>;  // in order, none within another
  [[nodiscard]] const Prefixes& of(base::Family family) const {
    return by_family_[family == base::Family::kV4 ? 0 : 1];
  }
  std::array<Prefixes, 2> by_family_;
};

// The snapshot in force.
class OwnAddressBook {
 public:
  // Null: never read, nothing is known.
  [[nodiscard]] std::shared_ptr<const OwnAddresses> now() const;
  void set(std::shared_ptr<const OwnAddresses> addresses);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const OwnAddresses> addresses_;
};

// Do ranges of a policy mean an address that is this machine's own? Only by that very address, or loopback: a range of
// a network in which the gateway happens to stand is about its neighbours.
[[nodiscard]] bool means_own_address(std::span<const base::Cidr> ranges, const base::IpAddress& address);

}  // namespace soleroute::gateway::net
