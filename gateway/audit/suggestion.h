// From records of refusals to the policy lines that would have allowed them.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/audit/decision_log.h"
#include "policy/policy.h"

namespace soleroute::gateway::audit {

// The lines that would allow what this record refused; empty where no policy would. Asks `policy` anew, so that a
// record of an older policy gets today's answer.
[[nodiscard]] std::string lines_to_allow(const DecisionRecord& refused, const policy::Policy& policy);
// Of all of them, merged and each once; at most so many items.
[[nodiscard]] std::string lines_to_allow(std::span<const DecisionRecord> refused, const policy::Policy& policy,
                                         std::size_t most_items);
// What `policy` says today of the flow, as far as the record tells it.
[[nodiscard]] bool is_allowed_now(const DecisionRecord& record, const policy::Policy& policy);

// Snippets of policy, "domains:\n  - a\n" and "domains:\n  - b\n", merged into one list a heading, each item once.
class PolicyLines {
 public:
  explicit PolicyLines(std::size_t most_items) : most_(most_items) {}

  // False: nothing new, or no room.
  bool add(std::string_view snippet);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::size_t size() const { return seen_.size(); }

 private:
  std::size_t most_;
  std::map<std::string, std::string> items_;  // by heading
  std::set<std::pair<std::string, std::string>> seen_;
};

}  // namespace soleroute::gateway::audit
