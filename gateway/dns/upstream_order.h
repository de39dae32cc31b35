// Which upstream server to try first: in the order given, those that failed lately last.
// Not thread-safe: one per worker.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace soleroute::gateway::dns {

class UpstreamOrder {
 public:
  using Clock = std::chrono::steady_clock;
  // A failed server is put last for this long, doubled with each further failure up to the longest.
  static constexpr std::chrono::seconds kFirstRest{5};
  static constexpr std::chrono::seconds kLongestRest{120};

  explicit UpstreamOrder(std::size_t count) : servers_(count) {}

  [[nodiscard]] std::vector<std::size_t> order(Clock::time_point now) const;  // indices, best first
  void succeeded(std::size_t server);
  void failed(std::size_t server, Clock::time_point now);

 private:
  struct Health {
    int failures = 0;  // in a row
    Clock::time_point rests_until{};
  };
  std::vector<Health> servers_;
};

}  // namespace soleroute::gateway::dns
