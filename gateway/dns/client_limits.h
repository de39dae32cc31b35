// How much upstream work one client, and all of them, may cause: questions waiting at once, and new ones a second.
// Cached and denied names cost nothing and are not counted. Not thread-safe: one per worker. Bounded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/ip_address.h"
#include "gateway/dns/bounded_map.h"
#include "gateway/dns/token_bucket.h"

namespace soleroute::gateway::dns {

class ClientLimits {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kWaitingPerClient = 64;
  static constexpr std::size_t kWaitingTotal = 384;  // below Resolver::kMaxQuestions: connections resolve as well
  static constexpr double kBurst = 400;              // a browser's or a package manager's start
  static constexpr double kPerSecond = 100;
  static constexpr std::size_t kMaxClients = 4096;

  enum class Verdict : std::uint8_t { kAdmitted, kTooManyWaiting, kTooFast };

  // Each kAdmitted is ended by one done().
  [[nodiscard]] Verdict admit(const base::IpAddress& client, Clock::time_point now);
  void done(const base::IpAddress& client);

 private:
  struct Client {
    std::size_t waiting = 0;
    TokenBucket budget{kBurst, kPerSecond};
  };
  BoundedMap<base::IpAddress, Client> clients_{kMaxClients};
  std::size_t waiting_ = 0;
};

}  // namespace soleroute::gateway::dns
