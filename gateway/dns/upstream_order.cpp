// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/upstream_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace soleroute::gateway::dns {

std::vector<std::size_t> UpstreamOrder::order(Clock::time_point now) const {
  std::vector<std::size_t> indices(servers_.size());
  std::iota(indices.begin(), indices.end(), 0U);
  const auto rest = [&](std::size_t index) { return std::pair(std::max(servers_[index].rests_until, now), index); };
  std::ranges::sort(indices, {}, rest);
  return indices;
}

void UpstreamOrder::succeeded(std::size_t server) {
  servers_[server] = {};
}

void UpstreamOrder::failed(std::size_t server, Clock::time_point now) {
  Health& health = servers_[server];
  // Questions that were under way together fail together: that is one failure.
  if (health.rests_until > now) return;
  constexpr int kMostDoublings = 10;
  const auto rest = kFirstRest * (1 << std::min(health.failures, kMostDoublings));
  health.rests_until = now + std::min<Clock::duration>(rest, kLongestRest);
  ++health.failures;
}

}  // namespace soleroute::gateway::dns
