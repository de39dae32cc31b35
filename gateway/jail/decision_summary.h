// A decision log that also counts: who was allowed, who was refused, how often. For the summary when a command ends.
// Thread-safe. Bounded: past kMaxHosts different ones, only their number is kept.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/audit/decision_log.h"
#include "policy/policy.h"

namespace soleroute::gateway::jail {

struct HostSummary {
  std::string subject;            // the host, or "address:port" where none was named
  std::uint64_t lookups = 0;      // DNS questions
  std::uint64_t uses = 0;         // connections, requests, packets
  audit::DecisionRecord example;  // the first of them, a use rather than a lookup
};

struct DecisionSummary {
  std::vector<HostSummary> allowed;  // most used first
  std::vector<HostSummary> denied;
  std::vector<HostSummary> failed;  // allowed, but a name server or a host did not answer, and the like
  std::uint64_t not_kept = 0;       // decisions about hosts beyond the bound
  [[nodiscard]] bool empty() const { return allowed.empty() && denied.empty() && failed.empty(); }
};

class SummaryLog final : public audit::DecisionLog {
 public:
  static constexpr std::size_t kMaxHosts = 1000;

  using Listener = std::function<void(const audit::DecisionRecord&)>;

  // Everything goes on to `next`, and every decision to `listener` if there is one, on any thread.
  explicit SummaryLog(std::unique_ptr<audit::DecisionLog> next, Listener listener = {})
      : next_(std::move(next)), listener_(std::move(listener)) {}

  void decision(const audit::DecisionRecord& record) override;
  void lifecycle(std::string_view event, std::string_view detail) override { next_->lifecycle(event, detail); }
  void reload(bool accepted, std::string_view detail) override { next_->reload(accepted, detail); }
  void error(std::string_view message) override { next_->error(message); }
  void debug(std::string_view message) override { next_->debug(message); }

  [[nodiscard]] DecisionSummary summary() const;

 private:
  std::unique_ptr<audit::DecisionLog> next_;
  Listener listener_;
  mutable std::mutex mutex_;
  enum class Outcome : std::uint8_t { kAllowed, kDenied, kFailed };
  std::map<std::pair<Outcome, std::string>, HostSummary> hosts_;  // by subject too
  std::uint64_t not_kept_ = 0;
};

// The lines of policy that would allow what was denied, merged; empty where none would.
[[nodiscard]] std::string lines_to_allow(const DecisionSummary& summary, const policy::Policy& policy);

struct SummaryStyle {
  bool colour = false;
  std::string_view policy_file = "policy.yaml";  // to which lines are to be added
  std::size_t most_hosts = 8;                    // of each kind; the rest are counted
};
// A few lines for people; empty where nothing was decided. Plain ASCII whatever the command asked for.
[[nodiscard]] std::string summary_text(const DecisionSummary& summary, const policy::Policy& policy,
                                       const SummaryStyle& style);

}  // namespace soleroute::gateway::jail
