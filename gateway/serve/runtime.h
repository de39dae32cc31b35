// A running gateway: workers over given listeners, one policy snapshot, one log. Used by serving and by the jail.
// start(), reload() and stop() from one controlling thread; everything else happens on the workers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/inspect/inspection.h"
#include "gateway/net/listen.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

struct RuntimeOptions {
  std::vector<base::Endpoint> resolvers;         // upstream DNS; never empty
  std::vector<base::IpAddress> own_addresses;    // the gateway as the agent sees it: DNS answers for denied names
  std::vector<base::IpAddress> local_addresses;  // every address of this machine: not dialled for a mere name
  std::uint32_t upstream_mark = 0;               // SO_MARK on sockets towards origins and resolvers; 0: none (sidecar)
  std::string secrets_directory{};               // files named by the policy's secrets
  std::size_t max_connections = 0;               // of all workers; 0: as the descriptor limit allows, two for each
  std::shared_ptr<const inspect::Inspection> inspection{};  // null: what must be inspected is refused
};

class Runtime {
 public:
  // Starts the workers: one per element of listeners.redirected. The log and the counters outlive the runtime.
  // `packet_queue` may be empty: then nothing is logged for refused packets.
  [[nodiscard]] static base::Result<std::unique_ptr<Runtime>> start(RuntimeOptions options, net::Listeners listeners,
                                                                    base::Fd packet_queue,
                                                                    std::shared_ptr<const policy::Policy> policy,
                                                                    audit::DecisionLog& log, audit::Counters& counters);
  ~Runtime();  // stop(0)

  // Swaps the snapshot; connections that the new policy denies are closed, others are not disturbed. In force on every
  // worker when this returns.
  void reload(std::shared_ptr<const policy::Policy> policy);
  [[nodiscard]] std::shared_ptr<const policy::Policy> policy() const;
  // From now on a connection from 127.0.0.1 and this port is the gateway's check of itself: refused as any other, and
  // not logged. 0: no connection is.
  void announce_self_check(std::uint16_t port);
  // Stops accepting, lets connections finish for `grace`, then closes them and joins the workers.
  void stop(std::chrono::milliseconds grace);

 private:
  struct State;
  explicit Runtime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::serve
