// Which agent has an address: the ranges that `agents:` list, of which no two share an address.
// Filled by one thread, then read by any.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::policy {

// Of IPv6: a program may use the one of its machine as it likes, whatever other addresses that has.
[[nodiscard]] bool is_link_local(const base::IpAddress& address);

class AgentTable {
 public:
  // Of another agent that has some of these addresses; then nothing is added.
  [[nodiscard]] std::optional<std::uint32_t> add(const base::Cidr& range, std::uint32_t agent);
  // The agent's number; nothing: no agent has this address.
  [[nodiscard]] std::optional<std::uint32_t> find(const base::IpAddress& address) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    base::Cidr addresses;
    std::uint32_t agent = 0;
  };
  [[nodiscard]] std::vector<Range>::const_iterator behind(const base::IpAddress& address) const;

  std::vector<Range> ranges_;  // in order; none shares an address with another
};

}  // namespace soleroute::policy
