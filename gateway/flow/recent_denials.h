// The last refusals of each client, for that client to ask after (gateway.internal/denials).
// Thread-safe. Bounded: of each client the newest, and of all clients those refused last.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_address.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/bounded_map.h"
#include "policy/policy.h"

namespace soleroute::gateway::flow {

struct Denial {
  std::chrono::system_clock::time_point when;
  audit::DecisionRecord record;  // its texts cut at kMaxText
};

// What a client is told of its refusals.
struct DenialsPage {
  std::size_t count = 0;
  std::string lines;  // of a policy that would allow them
  std::shared_ptr<const std::string> json;
};

class RecentDenials {
 public:
  static constexpr std::size_t kMaxClients = 256;
  static constexpr std::size_t kPerClient = 50;
  static constexpr std::size_t kMaxText = 512;

  // `here`: the gateway's own addresses. Where the agent shares them (sidecar, jail), it may use any of them, and
  // loopback: all of these are one client.
  explicit RecentDenials(std::vector<base::IpAddress> here) : here_(std::move(here)) {}

  void note(const audit::DecisionRecord& refused);
  [[nodiscard]] std::vector<Denial> of(const base::IpAddress& client,
                                       std::string_view agent = {}) const;  // newest first

  // What `tell` makes of them, made again only after another refusal or under another policy, which `policy` is the
  // identity of: whoever asks a thousand times gets the same text a thousand times.
  using Teller = std::function<DenialsPage(const std::vector<Denial>&)>;
  [[nodiscard]] std::shared_ptr<const DenialsPage> told(const base::IpAddress& client, std::string_view agent,
                                                        const std::shared_ptr<const void>& policy,
                                                        const Teller& tell) const;

 private:
  struct Client {
    std::deque<Denial> denials;  // newest at the front
    std::uint64_t noted = 0;
    std::shared_ptr<const DenialsPage> told;
    std::weak_ptr<const void> told_under;
  };
  // An agent with a name, whichever of its addresses it uses; else an address.
  [[nodiscard]] std::string known_as(const base::IpAddress& client, std::string_view agent) const;

  const std::vector<base::IpAddress> here_;
  mutable std::mutex mutex_;
  mutable dns::BoundedMap<std::string, Client> clients_{kMaxClients};
};

// A decision log that names the agent, notes refusals among the recent ones, and remarks on those of optional hosts.
// Everything goes on to `next`; it and `denials` are borrowed. `policy`: the snapshot in force, from any thread.
class RememberingLog final : public audit::DecisionLog {
 public:
  using Snapshot = std::function<std::shared_ptr<const policy::Policy>()>;

  RememberingLog(audit::DecisionLog& next, RecentDenials& denials, Snapshot policy)
      : next_(next), denials_(denials), policy_(std::move(policy)) {}

  void decision(const audit::DecisionRecord& record) override;
  void lifecycle(std::string_view event, std::string_view detail) override { next_.lifecycle(event, detail); }
  void reload(bool accepted, std::string_view detail) override { next_.reload(accepted, detail); }
  void error(std::string_view message) override { next_.error(message); }
  void debug(std::string_view message) override { next_.debug(message); }

 private:
  // `policy`: for the client; null: not known.
  void decision_of_known(const audit::DecisionRecord& record, const policy::Policy* policy);

  audit::DecisionLog& next_;
  RecentDenials& denials_;
  Snapshot policy_;
};

}  // namespace soleroute::gateway::flow
