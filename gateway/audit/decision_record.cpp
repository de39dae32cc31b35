// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/decision_record.h"

#include <string_view>

#include "gateway/audit/probe.h"
#include "policy/observe.h"

namespace soleroute::gateway::audit {

void set_facts(DecisionRecord& record, const policy::FlowFacts& facts) {
  record.phase = facts.phase;
  record.client = facts.client;
  const auto& name = facts.host ? facts.host : facts.sni;
  record.host = name ? std::string_view(name->text()) : std::string_view();
  record.scheme = policy::to_string(facts.scheme);
  record.port = facts.port;
  record.method = facts.method.value_or(std::string_view());
  const auto target = facts.target.value_or(std::string_view());
  record.path = target.substr(0, target.find('?'));
  record.ech = facts.encrypted_client_hello;
  const auto& destination = facts.original_destination;
  if (!destination) record.destination.clear();
  if (destination && record.destination.empty()) record.destination = destination->to_string();
}

void set_decision(DecisionRecord& record, const policy::Decision& decision) {
  record.allowed = decision.allowed();
  record.observed = false;
  record.reason = policy::to_string(decision.reason);
  record.matched_host = decision.matched_host;
  record.rule = policy::place_of(decision.rule);
  record.resolved = decision.refused_address ? decision.refused_address->to_string() : "";
  if (!decision.override_header.empty()) record.detail = decision.override_header;
}

DecisionRecord record_of(const policy::FlowFacts& facts, const policy::Decision& decision) {
  DecisionRecord record;
  set_facts(record, facts);
  set_decision(record, decision);
  return record;
}

void set_passed(DecisionRecord& record, const policy::Decision& decision) {
  record.observed = !decision.allowed();
  if (!record.observed) return;
  if (!record.detail.empty()) record.detail += ", ";
  record.detail += policy::kObservedDetail;
}

void write(DecisionLog& log, Counters& counters, const DecisionRecord& record) {
  count_decision(counters, record);
  log.decision(record);
}

}  // namespace soleroute::gateway::audit
