// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/optional_hosts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/policy_data.h"

namespace soleroute::policy {

std::optional<OptionalUse> optional_use(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  const bool may_be = decision.reason == Reason::kHostNotAllowed || decision.reason == Reason::kNoRuleMatched;
  if (decision.allowed() || !may_be) return std::nullopt;
  for (const auto& unused : policy.data().unused_groups) {
    const Decision with = unused.admits->decide(facts);
    if (with.allowed() && !with.request_rules_pending) return OptionalUse{unused.service, unused.group, unused.whole};
  }
  return std::nullopt;
}

std::string describe(const OptionalUse& use) {
  return fmt::format("optional for {} ({}): works without", use.service, use.group);
}

std::string unused_groups_text(const Policy& policy) {
  std::string out;
  for (const auto& unused : policy.data().unused_groups) {
    out += fmt::format("  {} {}: {}\n", unused.service, unused.group, fmt::join(unused.hosts, ", "));
  }
  return out.empty() ? out : "Optional hosts, not allowed (the service works without them):\n" + out;
}

}  // namespace soleroute::policy
