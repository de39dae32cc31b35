// How many refused names a client may have certificates made for, so that it can be shown a page: some at once, a few a
// second after that. Beyond it a refusal is an alert.
// Not thread-safe: one per worker. Bounded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>

#include "base/ip_address.h"
#include "gateway/dns/bounded_map.h"
#include "gateway/dns/token_bucket.h"

namespace soleroute::gateway::flow {

class RefusalPages {
 public:
  static constexpr double kBurst = 64;
  static constexpr double kPerSecond = 16;
  static constexpr double kBurstOfAll = 256;
  static constexpr double kPerSecondOfAll = 64;
  static constexpr std::size_t kMaxClients = 1024;

  // True if this client may have another one.
  [[nodiscard]] bool take(const base::IpAddress& client, dns::TokenBucket::Clock::time_point now) {
    return clients_.touch(client).budget.take(now) && all_.take(now);
  }

 private:
  struct Client {
    dns::TokenBucket budget{kBurst, kPerSecond};
  };
  dns::BoundedMap<base::IpAddress, Client> clients_{kMaxClients};
  dns::TokenBucket all_{kBurstOfAll, kPerSecondOfAll};
};

}  // namespace soleroute::gateway::flow
