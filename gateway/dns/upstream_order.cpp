// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/upstream_order.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

namespace soleroute::gateway::dns {

namespace {

// As far as it can be told from a name: its last two labels. Where more than that is a public suffix, several zones
// count as one, and a server rests later than it might.
std::string_view zone_of(const base::HostName& name) {
  const std::string_view text = name.text();
  const auto last = text.rfind('.');
  const auto before = last == std::string_view::npos || last == 0 ? last : text.rfind('.', last - 1);
  return before == std::string_view::npos ? text : text.substr(before + 1);
}

}  // namespace

std::vector<std::size_t> UpstreamOrder::order(Clock::time_point now) const {
  std::vector<std::size_t> indices(servers_.size());
  std::iota(indices.begin(), indices.end(), 0U);
  const auto rest = [&](std::size_t index) { return std::pair(std::max(servers_[index].rests_until, now), index); };
  std::ranges::sort(indices, {}, rest);
  return indices;
}

void UpstreamOrder::succeeded(std::size_t server, Clock::time_point now) {
  servers_[server] = {};
  servers_[server].answered = now;
}

void UpstreamOrder::silent(std::size_t server, const base::HostName& name, Clock::time_point now) {
  Health& health = servers_[server];
  if (health.rests_until > now) return;
  const auto zone = zone_of(name);
  if (health.silences++ == 0) health.zone = zone;
  if (zone != health.zone) return failed(server, now);
  const bool answered_lately = now - health.answered < kAnsweredLately && health.answered != Clock::time_point{};
  if (health.silences < kSilencesOfOneZone || answered_lately) return;
  health.silences = 0;
  health.rests_until = now + kFirstRest;
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
