// Two HTTP/2 sessions that talk to each other without sockets.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>

#include "gateway/http2/session.h"

namespace soleroute::fuzz {

inline constexpr std::size_t kAll = std::size_t{1} << 30;
inline constexpr gateway::net::Clock::time_point kNow{};

// What one has to say reaches the other.
inline void carry(gateway::http2::Session& from, gateway::http2::Session& to) {
  std::string bytes;
  from.collect(bytes, kAll);
  (void)to.receive(base::as_bytes(bytes), kNow);
}

}  // namespace soleroute::fuzz
