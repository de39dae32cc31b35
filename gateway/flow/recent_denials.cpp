// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/recent_denials.h"

#include <algorithm>
#include <optional>
#include <string>

#include "gateway/audit/probe.h"
#include "gateway/audit/suggestion.h"
#include "policy/address_class.h"

namespace soleroute::gateway::flow {
namespace {

audit::DecisionRecord shortened(const audit::DecisionRecord& record) {
  audit::DecisionRecord out;
  const auto keep = [](std::string& to, const std::string& from) { to = from.substr(0, RecentDenials::kMaxText); };
  out.phase = record.phase;
  out.observed = record.observed;
  out.client = record.client;
  out.agent = record.agent;
  out.port = record.port;
  out.status = record.status;
  out.scheme = record.scheme;
  keep(out.reason, record.reason);
  keep(out.host, record.host);
  keep(out.method, record.method);
  keep(out.path, record.path);
  keep(out.matched_host, record.matched_host);
  keep(out.rule, record.rule);
  keep(out.detail, record.detail);
  keep(out.destination, record.destination);
  keep(out.resolved, record.resolved);
  return out;
}

}  // namespace

std::string RecentDenials::known_as(const base::IpAddress& client, std::string_view agent) const {
  if (!agent.empty()) return "agent " + std::string(agent);
  const auto address = client.unmapped();
  const bool here = policy::address_class(address) == "loopback" || std::ranges::find(here_, address) != here_.end();
  return (here ? base::IpAddress{} : address).to_string();
}

void RecentDenials::note(const audit::DecisionRecord& refused) {
  Denial denial{std::chrono::system_clock::now(), shortened(refused)};
  const std::lock_guard lock(mutex_);
  auto& entry = clients_.touch(known_as(refused.client, refused.agent));
  auto& denials = entry.denials;
  ++entry.noted;
  entry.told.reset();
  if (denials.size() == kPerClient) denials.pop_back();
  denials.push_front(std::move(denial));
}

void RememberingLog::decision(const audit::DecisionRecord& record) {
  const auto snapshot = policy_();
  const auto policy = snapshot ? policy::policy_for(snapshot, record.client) : nullptr;
  if (!policy || policy->agent_name() == record.agent) return decision_of_known(record, policy.get());
  audit::DecisionRecord named = record;
  named.agent = policy->agent_name();
  decision_of_known(named, policy.get());
}

void RememberingLog::decision_of_known(const audit::DecisionRecord& record, const policy::Policy* policy) {
  if (record.allowed || audit::is_probe(record)) return next_.decision(record);
  const auto use = policy != nullptr ? audit::optional_use(record, *policy) : std::nullopt;
  if (!use) {
    denials_.note(record);
    return next_.decision(record);
  }
  audit::DecisionRecord remarked = record;
  if (!remarked.detail.empty()) remarked.detail += ", ";
  remarked.detail += policy::describe(*use);
  denials_.note(remarked);
  next_.decision(remarked);
}

std::vector<Denial> RecentDenials::of(const base::IpAddress& client, std::string_view agent) const {
  const std::lock_guard lock(mutex_);
  const auto* entry = clients_.find(known_as(client, agent));
  if (entry == nullptr) return {};
  return {entry->denials.begin(), entry->denials.end()};
}

std::shared_ptr<const DenialsPage> RecentDenials::told(const base::IpAddress& client, std::string_view agent,
                                                       const std::shared_ptr<const void>& policy,
                                                       const Teller& tell) const {
  std::vector<Denial> denials;
  std::uint64_t noted = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* entry = clients_.find(known_as(client, agent))) {
      const bool same_policy = !entry->told_under.owner_before(policy) && !policy.owner_before(entry->told_under);
      if (entry->told && same_policy) return entry->told;
      denials.assign(entry->denials.begin(), entry->denials.end());
      noted = entry->noted;
    }
  }
  auto told = std::make_shared<const DenialsPage>(tell(denials));  // not under the lock: every refusal waits for it
  const std::lock_guard lock(mutex_);
  auto* entry = clients_.find(known_as(client, agent));
  if (entry != nullptr && entry->noted == noted) {
    entry->told = told;
    entry->told_under = policy;
  }
  return told;
}

}  // namespace soleroute::gateway::flow
