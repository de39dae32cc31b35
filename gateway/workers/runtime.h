// A running gateway: workers over given listeners, one policy snapshot, one log. Used by serving and by the jail.
// start(), reload() and stop() from one controlling thread; everything else happens on the workers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/denied_addresses.h"
#include "gateway/dns/search_list.h"
#include "gateway/dns/upstreams.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/held_requests.h"
#include "gateway/flow/host_services.h"
#include "gateway/inspect/inspection.h"
#include "gateway/net/client_keys.h"
#include "gateway/net/listen.h"
#include "policy/nat64.h"
#include "policy/policy.h"

namespace soleroute::gateway::workers {

struct RuntimeOptions {
  std::vector<dns::Upstream> resolvers;        // upstream DNS; never empty
  dns::SearchList search{};                    // of the resolvers in front of it, as far as that is known
  std::vector<base::IpAddress> own_addresses;  // the gateway as the agent sees it
  // What DNS answers for denied names; without networks it is the gateway's own address. Never null.
  std::shared_ptr<dns::DeniedAddresses> denied = std::make_shared<dns::DeniedAddresses>();
  std::vector<base::IpAddress> local_addresses;  // every address of this machine: not dialled for a mere name
  std::uint32_t upstream_mark = 0;               // SO_MARK on sockets towards origins and resolvers; 0: none (sidecar)
  flow::HostServices host{};                     // what a policy may list as host.gateway.internal
  std::vector<policy::Nat64Prefix> nat64{};      // of this network, by a person
  std::string hosts_file{};                      // names with addresses, as hosts(5); empty: none
  std::string secrets_directory{};               // files named by the policy's secrets
  net::ClientKeys::Who clients = net::ClientKeys::Who::kOne;  // whose budgets are apart
  std::shared_ptr<const inspect::Inspection> inspection{};    // null: what must be inspected is refused
  std::shared_ptr<const flow::UpstreamRoute> route{};         // null: origins are dialled directly
  std::shared_ptr<flow::HeldRequests> held{};                 // null: what is denied is denied at once
};

// What the limit on descriptors leaves, once it is raised as far as this process may.
struct Capacity {
  std::size_t descriptors = 0;  // of the process
  std::size_t connections = 0;  // of clients, of all workers
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
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Swaps the snapshot; connections that the new policy denies are closed, others are not disturbed. Waits for no
  // worker: `taken` is called on the thread of one of them once the policy is in force on all.
  void reload(std::shared_ptr<const policy::Policy> policy, std::function<void()> taken);
  // Numbers of the workers, from 1, on which the newest policy is not in force yet.
  [[nodiscard]] std::vector<std::size_t> behind() const;
  // Asks each worker for a sign of life; to be called twice a second.
  void ask_for_signs();
  // Numbers of the workers, from 1, that have given none for kStalled.
  [[nodiscard]] std::vector<std::size_t> stalled() const;
  static constexpr std::chrono::milliseconds kStalled{1000};
  [[nodiscard]] std::size_t worker_count() const;
  // What upstream DNS servers lately did wrong that the gateway works around, a sentence each.
  [[nodiscard]] std::vector<std::string> resolver_faults() const;
  [[nodiscard]] Capacity capacity() const;
  [[nodiscard]] std::shared_ptr<const policy::Policy> policy() const;
  // From now on a connection from 127.0.0.1 and this port is the gateway's check of itself: refused as any other, and
  // not logged. 0: no connection is.
  void announce_self_check(std::uint16_t port);
  // Stops accepting, ends idle connections, and lets the others finish for `grace`, which the workers see to.
  void begin_stop(std::chrono::milliseconds grace);
  [[nodiscard]] bool ended() const;
  // The same, and waits: for `grace` and kEnd. False: a worker has not ended, and is left behind with what it uses.
  bool stop(std::chrono::milliseconds grace);
  static constexpr std::chrono::milliseconds kEnd{2000};

 private:
  struct State;
  explicit Runtime(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::workers
