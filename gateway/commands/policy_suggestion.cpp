// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_suggestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/audit/probe.h"
#include "gateway/audit/suggestion.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kMaxItems = 500;

using Compiled = base::Result<std::shared_ptr<const policy::Policy>>;

using Demand = std::map<std::string, std::uint64_t>;

bool is_lookup(const Refusals::Kind& kind) {
  return kind.record.phase == policy::Phase::kDns;
}

// What each line would allow of what was used, or of what was only looked up if nobody used it.
Demand demand_of(const Refusals& refusals, const policy::Policy& policy) {
  Demand uses;
  Demand lookups;
  for (const auto& kind : refusals.kinds()) {
    const std::string line = audit::lines_to_allow(kind.record, policy);
    if (!line.empty()) (is_lookup(kind) ? lookups : uses)[line] += kind.count;
  }
  uses.merge(lookups);
  return uses;
}

// A policy that grows by what proves to help.
class Draft {
 public:
  Draft(std::vector<policy::PolicySource> layers, std::shared_ptr<const policy::Policy> policy)
      : layers_(std::move(layers)), policy_(std::move(policy)) {}

  // False: no line helps. `demand`: how often each line is wanted.
  bool allow(const Refusals::Kind& kind, const Demand& demand) {
    const auto& refused = kind.record;
    if (!audit::is_curable(refused)) return false;
    if (audit::is_allowed_now(refused, *policy_)) return true;
    audit::PolicyLines grown = lines_;
    const std::string line = audit::lines_to_allow(refused, *policy_);
    const auto wanted = demand.find(line);
    if (!grown.add(line, wanted == demand.end() ? kind.count : wanted->second)) return false;
    const Compiled fresh = with(grown.text());
    if (!fresh || !audit::is_allowed_now(refused, **fresh)) return false;
    lines_ = std::move(grown);
    policy_ = *fresh;
    return true;
  }
  [[nodiscard]] std::string yaml() const { return lines_.text(); }

 private:
  [[nodiscard]] Compiled with(std::string lines) const {
    auto all = layers_;
    all.push_back({"suggestion", std::move(lines)});
    return policy::Policy::compile(all);
  }

  std::vector<policy::PolicySource> layers_;
  std::shared_ptr<const policy::Policy> policy_;
  audit::PolicyLines lines_{kMaxItems};
};

}  // namespace

void Refusals::add(const audit::DecisionRecord& record) {
  if (record.allowed || audit::is_probe(record)) return;
  auto key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", policy::to_string(record.phase), record.reason, record.host,
                         record.scheme, record.port, record.method, record.path,
                         record.phase == policy::Phase::kPacket || record.host.empty() ? record.destination : "");
  if (const auto known = known_.find(key); known != known_.end()) {
    kinds_[known->second].count += audit::times(record);
    return;
  }
  if (kinds_.size() == kMaxKinds) {
    ++not_kept_;
    return;
  }
  known_.emplace(std::move(key), kinds_.size());
  kinds_.push_back({record, audit::times(record)});
}

base::Result<PolicySuggestion> suggest(const Refusals& refusals, std::vector<policy::PolicySource> layers) {
  SR_LET(policy, policy::Policy::compile(layers));
  const Demand demand = demand_of(refusals, **policy);
  Draft draft(std::move(layers), std::move(*policy));
  PolicySuggestion out;
  // A look-up alone says least: it is asked about last, when what followed it may have allowed the name already.
  for (const bool lookups : {false, true}) {
    for (const auto& kind : refusals.kinds()) {
      if (is_lookup(kind) != lookups) continue;
      if (!draft.allow(kind, demand)) out.without[kind.record.reason] += kind.count;
    }
  }
  out.yaml = draft.yaml();
  return out;
}

}  // namespace soleroute::gateway::commands
