// One direction of a tracked connection, as ctnetlink writes it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/ip_address.h"

namespace soleroute::gateway::netlink {

struct ConnectionTuple {
  std::uint8_t protocol = 0;
  base::Endpoint source;
  base::Endpoint destination;
};

// Of a CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. Nothing: it has no addresses or no protocol.
[[nodiscard]] std::optional<ConnectionTuple> tuple_in(std::span<const std::uint8_t> nested);

}  // namespace soleroute::gateway::netlink
