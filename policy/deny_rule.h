// A rule that denies, compared in the widest sense that a server could take a request: what may be denied is.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

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

struct DenyMatch {
  Match match = Match::kNo;
  std::string_view override_header{};  // by which the request may mean another method or path; static text
};
// Does the rule deny this request? Pending: of what is not known yet, some would be denied. Methods match in any case.
// A path matches in any case, decoded as often as it can be, without path parameters, doubled slashes, and blanks and
// dots at the end of a segment; one that servers read in more than one way matches every path. A query matches if it
// has the rule's parameters, whatever else it has. A header that names another method or path matches every one.
[[nodiscard]] DenyMatch match(const DenyRule& rule, const FlowFacts& request);

}  // namespace soleroute::policy
