// A rule that denies, compared in the widest sense that a server could take a request: what may be denied is.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/decision.h"
#include "policy/rule.h"

namespace soleroute::policy {

struct DenyRule {
  RuleTerms terms;  // as written
  std::string path{};
  QueryParameters query{};
};
[[nodiscard]] DenyRule deny_rule(const RuleTerms& terms);

// The target of one request in its widest sense, worked out once, when the first rule asks. Borrows the facts.
class WideTarget {
 public:
  explicit WideTarget(const FlowFacts& facts) : facts_(facts) {}

  // Nothing: servers read it in more than one way. Precondition: the target is known.
  [[nodiscard]] const std::optional<std::string>& path();
  [[nodiscard]] const std::optional<QueryParameters>& query();

 private:
  const FlowFacts& facts_;
  bool has_path_ = false;
  bool has_query_ = false;
  std::optional<std::string> path_{};
  std::optional<QueryParameters> query_{};
};

struct DenyMatch {
  Match match = Match::kNo;
  std::string_view override_header{};  // by which the request may mean another method or path; static text
};
// Does the rule deny this request? Pending: of what is not known yet, some would be denied. Methods match in any case.
// A path matches in any case, decoded as often as it can be, without path parameters, doubled slashes, and blanks and
// dots at the end of a segment; one that servers read in more than one way matches every path. A query matches if it
// has the rule's parameters, whatever else it has. A header that names another method or path matches every one.
[[nodiscard]] DenyMatch match(const DenyRule& rule, const FlowFacts& request, WideTarget& target);

}  // namespace soleroute::policy
