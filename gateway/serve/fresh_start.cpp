// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/fresh_start.h"

#include <fmt/format.h>

#include "gateway/host/network.h"
#include "gateway/host/stale_connections.h"
#include "gateway/netlink/connections.h"

namespace soleroute::gateway::serve {

void forget_earlier_connections(const ServeOptions& options, const net::ListenPorts& now, const net::ListenPorts& usual,
                                const netlink::Interface& inside, const std::vector<netlink::Interface>& interfaces,
                                audit::DecisionLog& log) {
  if (!options.program_rules || options.proxy_only) return;
  host::AgentSide side{.addresses = host::all_addresses(interfaces),
                       .listeners = {now.redirected, now.dns},
                       .known_before = {usual.redirected, usual.dns}};
  for (const auto& claimed : options.claim) side.addresses.push_back(claimed.address);
  if (options.topology == netrules::Topology::kRouter) {
    for (const auto& address : inside.addresses) side.networks.push_back(address.subnet());
    for (const auto& claimed : options.claim) side.networks.push_back(claimed.subnet());
    if (side.networks.empty()) return;
  }
  const auto forgotten = netlink::forget_connections(
      [&side](const netlink::TrackedConnection& connection) { return host::is_stale(side, connection); });
  if (!forgotten) {
    log.error(forgotten.error().message +
              ": programs that used DNS before this start may have to wait until the kernel forgets it (30 s)");
  } else if (!forgotten->all) {
    log.error(fmt::format("the kernel's connection table has more than {} entries of an earlier start: the rest stay",
                          netlink::kMaxForgotten));
  } else if (forgotten->entries > 0) {
    log.debug(
        fmt::format("{} entries of an earlier start removed from the kernel's connection table", forgotten->entries));
  }
}

}  // namespace soleroute::gateway::serve
