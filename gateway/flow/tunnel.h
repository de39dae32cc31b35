// A decided connection of which only the bytes remain to be moved: all that is left of its flow, so that thousands of
// idle ones hold nothing else.
// Used on their worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>

#include "gateway/flow/context.h"
#include "gateway/flow/registry.h"

namespace soleroute::gateway::flow {

struct Tunnel {
  std::unique_ptr<net::Stream> client;
  std::unique_ptr<net::Stream> origin;
  std::uint64_t already_sent = 0;  // bytes to the origin, before
  Registry::Entry entry{};
};

// Null: the flow is over.
using TunnelPtr = std::unique_ptr<Tunnel>;

// `still_allowed` is the flow's question to the policy after a reload, which resets both streams if it denies. It is
// asked at once, too: the policy may have changed while the origin was dialled. Null then, and both are reset.
[[nodiscard]] TunnelPtr open_tunnel(Context& context, std::unique_ptr<net::Stream> client,
                                    std::unique_ptr<net::Stream> origin,
                                    std::function<bool(const policy::Policy&)> still_allowed);
// Until both directions are over, and counts what was moved. `tunnel` may be null.
[[nodiscard]] boost::asio::awaitable<void> run_tunnel(Context& context, TunnelPtr tunnel);

}  // namespace soleroute::gateway::flow
