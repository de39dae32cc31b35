// Moves bytes both ways between two streams until both directions are over, keeping half-close, idle limits and
// back-pressure: copies first, splice(2) for a direction after 64 KiB.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>

#include "gateway/net/stream.h"

namespace soleroute::gateway::flow {

class PipePool;

struct RelayTotals {
  std::uint64_t from_client = 0;  // bytes
  std::uint64_t to_client = 0;
};

// Neither direction moving for this long ends the relay, also while one side is closed: the other may still be
// answered.
inline constexpr std::chrono::milliseconds kRelayIdle{std::chrono::minutes(60)};

[[nodiscard]] boost::asio::awaitable<RelayTotals> relay(net::Stream& client, net::Stream& origin, PipePool& pipes);

}  // namespace soleroute::gateway::flow
