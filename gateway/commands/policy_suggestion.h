// The smallest addition to a policy that would have let pass what a log says was refused.
// Pure; collects records first, then suggests.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/audit/suggestion.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {

// Different refusals, each once, in the order of first appearance; past kMaxKinds further ones are only counted.
class Refusals {
 public:
  static constexpr std::size_t kMaxKinds = 10000;

  struct Kind {
    audit::DecisionRecord record;
    std::uint64_t count = 0;
  };
  void add(const audit::DecisionRecord& record);  // an allowed one is ignored, and a probe of `gateway verify`
  [[nodiscard]] const std::vector<Kind>& kinds() const { return kinds_; }
  [[nodiscard]] std::uint64_t not_kept() const { return not_kept_; }

 private:
  std::map<std::string, std::size_t> known_;
  std::vector<Kind> kinds_;
  std::uint64_t not_kept_ = 0;
};

struct PolicySuggestion {
  std::string yaml;                                // a further layer; empty: nothing to add
  std::vector<audit::PolicyLines::Line> lines;     // the same, each apart
  std::vector<audit::PolicyLines::Line> left_out;  // what a person should look at first; `demand` says why
  std::map<std::string, std::size_t> without;      // reasons of refusals that no line of a policy would lift
};

// What becomes of a line that may be a way for data to leave (doubtful_lines.h).
enum class Doubtful { kSuggest, kLeaveOut };

// Over `layers`, the policy in force; under each heading, what was denied most comes first. What a line suggested
// before already allows needs none of its own, and every line has been tried: with it the refusal is allowed. Errors
// are those of `layers`.
[[nodiscard]] base::Result<PolicySuggestion> suggest(const Refusals& refusals, std::vector<policy::PolicySource> layers,
                                                     Doubtful doubtful = Doubtful::kSuggest);

// `left_out` as comments of a policy; empty if there are none.
[[nodiscard]] std::string left_out_text(const PolicySuggestion& suggestion);

// The service of the catalog that allows this host, the narrowest one; empty: none does.
[[nodiscard]] std::string service_of(const std::string& host);

}  // namespace soleroute::gateway::commands
