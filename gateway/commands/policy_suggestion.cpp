// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_suggestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/audit/decision_record.h"
#include "gateway/audit/probe.h"
#include "gateway/audit/suggestion.h"
#include "policy/host_pattern.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kMaxItems = 500;

using Compiled = base::Result<std::shared_ptr<const policy::Policy>>;

using Demands = std::map<std::string, audit::Demand>;

bool is_lookup(const Refusals::Kind& kind) {
  return kind.record.phase == policy::Phase::kDns;
}

// How often each line is wanted: by connections and requests, or by DNS questions where there was nothing else.
Demands demands_of(const Refusals& refusals, const policy::Policy& policy) {
  Demands uses;
  Demands lookups;
  for (const auto& kind : refusals.kinds()) {
    const std::string line = audit::lines_to_allow(kind.record, policy);
    if (!line.empty()) (is_lookup(kind) ? lookups : uses)[line].add(kind.record, kind.count);
  }
  uses.merge(lookups);
  return uses;
}

// Names that a resolver made of others by its search domains: "a.test.corp.example", where the log or the policy has
// "a.test". Not "a.com.au", where both are names that people type. Only looked up; nothing is there.
class SearchNames {
 public:
  SearchNames(const Refusals& refusals, const policy::Policy& policy) : policy_(policy) {
    for (const auto& kind : refusals.kinds()) known_.insert(kind.record.host);
  }
  [[nodiscard]] bool made(const Refusals::Kind& kind) const {
    if (!is_lookup(kind)) return false;
    if (kind.record.detail.contains(audit::kMaybeSearched)) return true;
    const std::string& host = kind.record.host;
    for (auto dot = host.rfind('.'); dot != std::string::npos && dot > 0; dot = host.rfind('.', dot - 1)) {
      if (!policy::is_public_suffix(host.substr(dot + 1)) && is_meant(host.substr(0, dot))) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] bool is_meant(const std::string& name) const {
    if (!name.contains('.')) return false;
    if (known_.contains(name)) return true;
    auto host = base::HostName::parse(name);
    if (!host) return false;
    policy::FlowFacts facts;
    facts.host = std::move(*host);
    return policy_.decide(facts).allowed();
  }

  const policy::Policy& policy_;
  std::set<std::string> known_;
};

// A policy that grows by what proves to help.
class Draft {
 public:
  Draft(std::vector<policy::PolicySource> layers, std::shared_ptr<const policy::Policy> policy)
      : layers_(std::move(layers)), policy_(std::move(policy)) {}

  // False: no line helps. `demands`: how often each line is wanted.
  bool allow(const Refusals::Kind& kind, const Demands& demands) {
    const auto& refused = kind.record;
    if (!audit::is_curable(refused)) return false;
    if (audit::is_allowed_now(refused, *policy_)) return true;
    audit::PolicyLines grown = lines_;
    const std::string line = audit::lines_to_allow(refused, *policy_);
    audit::Demand alone;
    alone.add(refused, kind.count);
    const auto wanted = demands.find(line);
    if (!grown.add(line, wanted == demands.end() ? alone : wanted->second)) return false;
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
  const Demands demands = demands_of(refusals, **policy);
  const auto in_force = *policy;
  const SearchNames searched(refusals, *in_force);
  Draft draft(std::move(layers), std::move(*policy));
  PolicySuggestion out;
  // A look-up alone says least: it is asked about last, when what followed it may have allowed the name already.
  for (const bool lookups : {false, true}) {
    for (const auto& kind : refusals.kinds()) {
      if (is_lookup(kind) != lookups || searched.made(kind)) continue;
      if (!draft.allow(kind, demands)) out.without[kind.record.reason] += kind.count;
    }
  }
  out.yaml = draft.yaml();
  return out;
}

}  // namespace soleroute::gateway::commands
