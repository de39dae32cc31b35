// Keeps a flood of denials from flooding the log: the first of a kind is written, the rest are counted and told once.
// Not thread-safe; bounded; asks no clock, so that time is the caller's.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/bounded_map.h"
#include "gateway/dns/token_bucket.h"

namespace soleroute::gateway::dns {

class RepeatFilter {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kWindow{10};  // identical records: one in this time
  static constexpr double kBurst = 100;               // different records of one client at once
  static constexpr double kPerSecond = 20;            // and after that
  static constexpr std::size_t kMaxKinds = 4096;
  static constexpr std::size_t kMaxClients = 1024;

  enum class Verdict : std::uint8_t { kWriteNow, kCounted };
  [[nodiscard]] Verdict admit(const audit::DecisionRecord& record, Clock::time_point now);
  // What has been counted and is now to be told, with the count in its detail. Each count is told once.
  [[nodiscard]] std::vector<audit::DecisionRecord> due(Clock::time_point now);
  [[nodiscard]] bool holding() const { return held_ > 0; }

 private:
  struct Kind {
    Clock::time_point ends{};
    std::uint64_t held = 0;
    audit::DecisionRecord record;
  };
  struct Client {
    TokenBucket budget{kBurst, kPerSecond};
    std::uint64_t held = 0;
    audit::DecisionRecord newest;
  };
  BoundedMap<std::string, Kind> kinds_{kMaxKinds};
  BoundedMap<base::IpAddress, Client> clients_{kMaxClients};
  std::uint64_t held_ = 0;
};

}  // namespace soleroute::gateway::dns
