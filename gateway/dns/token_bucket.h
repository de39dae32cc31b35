// So many at once, so many a second after that. Not thread-safe; asks no clock.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <chrono>

namespace soleroute::gateway::dns {

class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;
  TokenBucket(double burst, double per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}

  // True if one was left.
  [[nodiscard]] bool take(Clock::time_point now) {
    const double passed = std::chrono::duration<double>(now - std::min(now, refilled_)).count();
    tokens_ = std::min(burst_, tokens_ + passed * per_second_);
    refilled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double burst_;
  double per_second_;
  double tokens_;
  Clock::time_point refilled_{};
};

}  // namespace soleroute::gateway::dns
