// Errors, warnings and failed tests of policies in the forms that CI systems read.
// Pure, but for environment variables that name the repository's folder.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy_faults.h"

namespace soleroute::gateway::commands {

struct PolicyFinding {
  enum class Level : std::uint8_t { kError, kWarning };
  Level level = Level::kError;
  std::string_view rule{};  // one of kRules
  std::string file{};       // as the command line names it
  int line = 0;             // 0: the file as a whole
  int column = 0;           // 0: the line as a whole
  std::string message{};    // plain text, may have several lines
};

inline constexpr std::string_view kPolicyError = "policy-error";
inline constexpr std::string_view kPolicyWarning = "policy-warning";
inline constexpr std::string_view kPolicyTest = "policy-test";

// Each fault, and one finding more that counts those that were not kept.
void add_findings(const policy::PolicyFaults& faults, std::vector<PolicyFinding>& out);
// A sentence of Policy::warnings(), whose place is one of `files`.
[[nodiscard]] PolicyFinding warning_finding(const std::string& sentence, const std::vector<std::string>& files);

// GitHub's workflow commands, one line each: `::error file=…,line=…,title=…::…`. `title` names the command.
[[nodiscard]] std::string to_github(const std::vector<PolicyFinding>& findings, std::string_view title);
// SARIF 2.1.0, one run.
[[nodiscard]] std::string to_sarif(const std::vector<PolicyFinding>& findings);
// GitLab's report of code quality: a JSON list.
[[nodiscard]] std::string to_code_quality(const std::vector<PolicyFinding>& findings);

// Does this run in a GitHub job, which reads workflow commands?
[[nodiscard]] bool in_github_job();
// `path` relative to the repository that the job checked out, else as it is.
[[nodiscard]] std::string repository_path(const std::string& path);

}  // namespace soleroute::gateway::commands
