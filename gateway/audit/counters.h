// Process-wide counters behind `gateway status` and the metrics page; no host names, so that cardinality is bounded.
// Thread-safe: relaxed atomics.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>

namespace soleroute::gateway::audit {

using Counter = std::atomic<std::uint64_t>;

struct Counters {
  Counter connections_accepted{0};
  Counter connections_open{0};
  Counter connections_refused{0};  // over a limit, before any decision
  Counter decisions_allowed{0};
  Counter decisions_denied{0};
  Counter probes_denied{0};  // by `gateway verify`, which asks for it; not among decisions_denied
  Counter http_requests{0};
  Counter bytes_in{0};   // from clients
  Counter bytes_out{0};  // to clients
  Counter dns_queries{0};
  Counter dns_denied{0};
  Counter dns_upstream_failures{0};
  Counter dns_stale_answers{0};
  Counter upstream_failures{0};
  Counter packets_logged{0};
  Counter packets_suppressed{0};
  Counter log_records_dropped{0};
  Counter reloads_accepted{0};
  Counter reloads_refused{0};
  Counter workers_stalled{0};             // now: they have given no sign of life for a second
  std::atomic<bool> policy_stale{false};  // last reload was refused
  std::atomic<int> log_fault{0};          // now: the errno of writing the log; ETIMEDOUT: its reader takes nothing
};

}  // namespace soleroute::gateway::audit
