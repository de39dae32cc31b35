// How much upstream work one client may cause, by questions of its own and by its connections: look-ups waiting at
// once, and new ones a second. Cached and denied names cost nothing and are not counted. Thread-safe: one for all
// workers. Bounded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/ip_address.h"
#include "gateway/dns/bounded_map.h"
#include "gateway/dns/token_bucket.h"

namespace soleroute::gateway::dns {

class ClientLimits {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kWaitingPerClient = 128;
  static constexpr double kBurst = 400;  // a browser's or a package manager's start
  static constexpr double kPerSecond = 100;
  static constexpr std::size_t kMaxClients = 4096;

  enum class Verdict : std::uint8_t { kAdmitted, kTooManyWaiting, kTooFast };

  // Each kAdmitted is ended by one done(). `client`: net::ClientKeys.
  [[nodiscard]] Verdict admit(const base::IpAddress& client, Clock::time_point now);
  void done(const base::IpAddress& client);

 private:
  struct Client {
    std::size_t waiting = 0;
    TokenBucket budget{kBurst, kPerSecond};
  };
  std::mutex mutex_;
  BoundedMap<base::IpAddress, Client> clients_{kMaxClients};  // guarded by mutex_
};

// Why a look-up was not begun, as the log and the client are told.
[[nodiscard]] std::string_view to_string(ClientLimits::Verdict verdict);

}  // namespace soleroute::gateway::dns
