// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_suggestion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/audit/decision_record.h"
#include "gateway/audit/probe.h"
#include "gateway/audit/suggestion.h"
#include "gateway/commands/doubtful_lines.h"
#include "policy/host_pattern.h"
#include "policy/service_catalog.h"

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
  Draft(std::vector<policy::PolicySource> layers, std::shared_ptr<const policy::Policy> policy, Doubtful doubtful)
      : layers_(std::move(layers)), policy_(std::move(policy)), doubtful_(doubtful) {}

  // False: no line helps. `demands`: how often each line is wanted.
  bool allow(const Refusals::Kind& kind, const Demands& demands) {
    const auto& refused = kind.record;
    if (!audit::is_curable(refused)) return false;
    if (audit::is_allowed_now(refused, *policy_)) return true;
    const std::string line = audit::lines_to_allow(refused, *policy_);
    if (line.empty()) return false;
    const auto wanted = demands.find(line);
    audit::Demand demand = wanted == demands.end() ? audit::Demand{} : wanted->second;
    if (wanted == demands.end()) demand.add(refused, kind.count);
    if (doubtful_ == Doubtful::kLeaveOut && is_doubtful(refused, line, demand)) return true;
    if (const auto service = refused.reason == kNotListed ? service_of(refused.host) : ""; !service.empty()) {
      demand.note("service " + service);
    }
    audit::PolicyLines grown = lines_;
    if (!grown.add(line, demand)) return false;
    const Compiled fresh = with(grown.text());
    if (!fresh || !audit::is_allowed_now(refused, **fresh)) return false;
    lines_ = std::move(grown);
    policy_ = *fresh;
    return true;
  }
  [[nodiscard]] std::string yaml() const { return lines_.text(); }
  [[nodiscard]] auto lines() const { return lines_.lines(); }
  [[nodiscard]] auto left_out() const { return left_out_.lines(); }

 private:
  static constexpr std::string_view kNotListed = "host_not_allowed";

  // Such a line is kept apart, if it would help.
  bool is_doubtful(const audit::DecisionRecord& refused, const std::string& line, audit::Demand demand) {
    audit::PolicyLines alone(1);
    alone.add(line);
    auto why = doubt_about(refused, alone.lines().front());
    if (why.empty()) return false;
    audit::PolicyLines grown = lines_;
    grown.add(line);
    const Compiled fresh = with(grown.text());
    if (!fresh || !audit::is_allowed_now(refused, **fresh)) return false;
    demand.note(std::move(why));
    left_out_.add(line, demand);
    return true;
  }
  [[nodiscard]] Compiled with(std::string lines) const {
    auto all = layers_;
    all.push_back({"suggestion", std::move(lines)});
    return policy::Policy::compile(all);
  }

  std::vector<policy::PolicySource> layers_;
  std::shared_ptr<const policy::Policy> policy_;
  Doubtful doubtful_;
  audit::PolicyLines lines_{kMaxItems};
  audit::PolicyLines left_out_{kMaxItems};
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

std::string service_of(const std::string& host) {
  static const auto services = policy::list_services();
  if (!services) return {};
  const policy::ServiceView* found = nullptr;
  for (const auto& service : *services) {
    const bool has = std::ranges::any_of(service.domains, [&](const auto& pattern) {
      return policy::covers(pattern, host) && std::ranges::find(service.limited, pattern) == service.limited.end();
    });
    if (has && (found == nullptr || service.domains.size() < found->domains.size())) found = &service;
  }
  return found == nullptr ? "" : found->name;
}

base::Result<PolicySuggestion> suggest(const Refusals& refusals, std::vector<policy::PolicySource> layers,
                                       Doubtful doubtful) {
  SR_LET(policy, policy::Policy::compile(layers));
  const Demands demands = demands_of(refusals, **policy);
  const auto in_force = *policy;
  const SearchNames searched(refusals, *in_force);
  Draft draft(std::move(layers), std::move(*policy), doubtful);
  PolicySuggestion out;
  // A look-up alone says least: it is asked about last, when what followed it may have allowed the name already.
  for (const bool lookups : {false, true}) {
    for (const auto& kind : refusals.kinds()) {
      if (is_lookup(kind) != lookups || searched.made(kind)) continue;
      if (!draft.allow(kind, demands)) out.without[kind.record.reason] += kind.count;
    }
  }
  out.yaml = draft.yaml();
  out.lines = draft.lines();
  out.left_out = draft.left_out();
  return out;
}

std::string left_out_text(const PolicySuggestion& suggestion) {
  if (suggestion.left_out.empty()) return {};
  std::string out = "# Left out: these may be ways for data to leave. Look at each before you add it.\n";
  std::string_view list;
  for (const auto& line : suggestion.left_out) {
    if (std::exchange(list, line.list) != line.list) out += fmt::format("# {}:\n", line.list);
    out += fmt::format("#   - {}  # {}\n", line.item, line.demand);
  }
  return out;
}

}  // namespace soleroute::gateway::commands
