// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/denial_book.h"

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
  const auto keep = [](std::string& to, const std::string& from) { to = from.substr(0, DenialBook::kMaxText); };
  out.phase = record.phase;
  out.observed = record.observed;
  out.client = record.client;
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
  return out;
}

}  // namespace

base::IpAddress DenialBook::known_as(const base::IpAddress& client) const {
  const auto address = client.unmapped();
  const bool here = policy::address_class(address) == "loopback" || std::ranges::find(here_, address) != here_.end();
  return here ? base::IpAddress{} : address;
}

void DenialBook::note(const audit::DecisionRecord& refused) {
  Denial denial{std::chrono::system_clock::now(), shortened(refused)};
  const std::lock_guard lock(mutex_);
  auto& denials = clients_.touch(known_as(refused.client));
  if (denials.size() == kPerClient) denials.pop_back();
  denials.push_front(std::move(denial));
}

void RememberingLog::decision(const audit::DecisionRecord& record) {
  if (record.allowed || audit::is_probe(record)) return next_.decision(record);
  const auto policy = policy_();
  const auto use = policy ? audit::optional_use(record, *policy) : std::nullopt;
  if (!use) {
    book_.note(record);
    return next_.decision(record);
  }
  audit::DecisionRecord remarked = record;
  if (!remarked.detail.empty()) remarked.detail += ", ";
  remarked.detail += policy::describe(*use);
  book_.note(remarked);
  next_.decision(remarked);
}

std::vector<Denial> DenialBook::of(const base::IpAddress& client) const {
  const std::lock_guard lock(mutex_);
  const auto* denials = clients_.find(known_as(client));
  return denials == nullptr ? std::vector<Denial>{} : std::vector<Denial>(denials->begin(), denials->end());
}

}  // namespace soleroute::gateway::flow
