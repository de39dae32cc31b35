// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/tunnel.h"

#include <utility>

#include "gateway/flow/policy_in_force.h"
#include "gateway/flow/relay.h"

namespace soleroute::gateway::flow {

TunnelPtr open_tunnel(Context& context, std::unique_ptr<net::Stream> client, std::unique_ptr<net::Stream> origin,
                      std::function<bool(const policy::Policy&)> still_allowed) {
  auto tunnel = std::make_unique<Tunnel>(std::move(client), std::move(origin));
  const auto close = [streams = tunnel.get()] {
    streams->client->reset();
    streams->origin->reset();
  };
  const bool allowed = still_allowed(*context.in_force->policy());
  tunnel->entry = context.registry.add(std::move(still_allowed), close);
  if (allowed) return tunnel;
  close();
  return nullptr;
}

boost::asio::awaitable<void> run_tunnel(Context& context, TunnelPtr tunnel) {
  if (tunnel == nullptr) co_return;
  const RelayTotals totals = co_await relay(*tunnel->client, *tunnel->origin, context.pipes);
  context.counters.bytes_in += totals.from_client + tunnel->already_sent;
  context.counters.bytes_out += totals.to_client;
}

}  // namespace soleroute::gateway::flow
