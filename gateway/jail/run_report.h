// What `gateway run` says when its command has ended: one to five lines after a failure, or the whole as JSON or
// Markdown.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/jail/decision_summary.h"
#include "policy/policy.h"

namespace soleroute::gateway::jail {

enum class SummaryFormat : std::uint8_t { kText, kMarkdown, kJson };

struct RunEnd {
  DecisionSummary decisions;
  int status = 0;                           // the command's exit status
  std::string policy_file = "policy.yaml";  // to which lines are to be added
  std::string hint{};                       // what else may explain a failure; empty: nothing
  std::string policy_options{};             // that named the policy: "--policy a.yaml "
  std::string name_servers{};               // that the gateway asks: "192.0.2.53, 192.0.2.54"
};

// Was something refused, or out of reach? What passed in mode observe does not count.
[[nodiscard]] bool has_obstacle(const DecisionSummary& decisions);

// Cause, host and remedy in at most kMostEndLines lines, each behind "gateway: "; empty where nothing was in the way
// and there is no hint.
inline constexpr std::size_t kMostEndLines = 5;
[[nodiscard]] std::string end_lines(const RunEnd& end, const policy::Policy& policy, bool colour);

// The whole, for a file or a pipe. Text is summary_text(). Markdown is a section for a job summary; nothing in it that
// the command chose can end a table cell or a code span.
[[nodiscard]] std::string formatted_summary(SummaryFormat format, const RunEnd& end, const policy::Policy& policy,
                                            bool colour);

// Lines of policy in flow style, one line for each heading: "domains: [a.test, b.test]". Empty for what is not YAML.
[[nodiscard]] std::vector<std::string> in_flow_style(std::string_view lines);
// "--allow a.test --allow db.test:5432" for lines that `gateway run --allow` can say; empty if it cannot say them all.
[[nodiscard]] std::string as_allow_options(std::string_view lines);

// A word as a shell reads it back, quoted only where it must be. What is not printable ASCII: $'\xHH', as bash reads
// it.
[[nodiscard]] std::string in_shell_quotes(std::string_view word);

}  // namespace soleroute::gateway::jail
