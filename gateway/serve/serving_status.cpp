// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/serving_status.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "gateway/audit/metrics.h"
#include "gateway/serve/log_state.h"

namespace soleroute::gateway::serve {

std::string to_json(const ServingStatus& status, const audit::Counters& counters) {
  nlohmann::json counts = nlohmann::json::object();
  for (const auto& field : audit::counter_fields()) counts[std::string(field.name)] = (counters.*field.member).load();
  const std::string log_fault_text = log_fault(counters);
  const nlohmann::json answer{
      {"health", status.health},
      {"warnings", status.warnings},
      {"version", status.version},
      {"uptime_s", status.uptime.count()},
      {"topology", status.topology},
      {"inside", status.inside},
      {"upstream_proxy", status.upstream_proxy},
      {"policy",
       {{"files", status.policy_files},
        {"hosts", status.hosts},
        {"version", status.policy_version},
        {"read", {{"s_ago", status.policy_age.count()}, {"why", status.policy_read_why}}},
        {"stale", counters.policy_stale.load()},
        {"behind", status.behind}}},
      {"allowed", nlohmann::json::parse(status.allowed, nullptr, false)},
      {"held", status.held},
      {"workers", {{"count", status.workers}, {"stalled", status.stalled}}},
      {"limits", {{"descriptors", status.capacity.descriptors}, {"connections", status.capacity.connections}}},
      {"log", {{"written", log_fault_text.empty()}, {"detail", log_fault_text}}},
      {"rules", {{"intended", status.rules}, {"differences", status.differences}}},
      {"counters", std::move(counts)}};
  return answer.dump();
}

}  // namespace soleroute::gateway::serve
