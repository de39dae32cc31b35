// Which upstream server to try first: in the order given, those that failed lately last.
// Not thread-safe: one per worker.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/host_name.h"

namespace soleroute::gateway::dns {

class UpstreamOrder {
 public:
  using Clock = std::chrono::steady_clock;
  // A failed server is put last for this long, doubled with each further failure up to the longest.
  static constexpr std::chrono::seconds kFirstRest{5};
  static constexpr std::chrono::seconds kLongestRest{120};
  // Whose silence is about names of one zone only: after so many, if it has answered nothing for so long; it rests no
  // longer than kFirstRest. Whoever serves a zone decides which resolver gets answers about it.
  static constexpr int kSilencesOfOneZone = 3;
  static constexpr std::chrono::seconds kAnsweredLately{10};

  explicit UpstreamOrder(std::size_t count) : servers_(count) {}

  [[nodiscard]] std::vector<std::size_t> order(Clock::time_point now) const;  // indices, best first
  void succeeded(std::size_t server, Clock::time_point now);
  // Unreachable: no name can make it so.
  void failed(std::size_t server, Clock::time_point now);
  // It was silent about `name`, which another server has answered for.
  void silent(std::size_t server, const base::HostName& name, Clock::time_point now);

 private:
  struct Health {
    int failures = 0;  // rests in a row
    int silences = 0;  // since it answered
    std::string zone;  // of the first of them
    Clock::time_point rests_until{};
    Clock::time_point answered{};
  };
  std::vector<Health> servers_;
};

}  // namespace soleroute::gateway::dns
