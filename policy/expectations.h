// A table of expectations about policies (docs/policy/testing.md), run and reported.
// Pure: the caller reads the files.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/decision_query.h"
#include "policy/policy.h"
#include "policy/policy_faults.h"

namespace soleroute::policy {

struct Expectation {
  std::string name;  // given, or made from the question
  int line = 0;
  std::string agent;  // whose policy is asked; empty: the common one
  DecisionQuery question;
  Action action = Action::kDeny;
  std::string reason;  // empty: any
  std::string rule;    // "policy.yaml:12", or "policy.yaml" for any line of it; empty: any
};

struct ExpectationTable {
  std::vector<std::string> policies;  // as written: paths relative to the table
  std::vector<Expectation> expectations;
};

// Every reason of a decision.
[[nodiscard]] std::vector<std::string_view> reason_names();

// Errors as of a policy: `name:line:column: what is wrong`.
[[nodiscard]] base::Result<ExpectationTable> read_expectations(std::string_view name, std::string_view text,
                                                               PolicyFaults* faults = nullptr);

struct ExpectationResult {
  std::string name;
  std::string file{};   // "table.yaml"
  int line = 0;         // 0: the file as a whole
  std::string place{};  // "table.yaml:4"
  bool passed = false;
  std::string verdict{};  // "allowed: host_allowed, policy.yaml:3"
  std::string failure{};  // what differs, with the sentence and the lines that would help; empty if passed
};

struct ExpectationReport {
  std::string table;
  std::vector<ExpectationResult> results{};
  PolicyFaults faults{};  // of the table or its policy: no test ran
  double seconds = 0;     // that its tests took

  [[nodiscard]] std::size_t failures() const;
};

// What JUnit wants to know of a run.
struct ReportFacts {
  std::string timestamp{};  // "2026-01-31T12:00:00", UTC
  std::string hostname{};
};

[[nodiscard]] ExpectationReport run_expectations(std::string_view table_name, const ExpectationTable& table,
                                                 const Policy& policy);

// One line a failure and a last line that counts; `verbose` also names what passed.
[[nodiscard]] std::string to_human(const std::vector<ExpectationReport>& reports, bool verbose, bool colour = false);
// Test Anything Protocol, version 13; a wrong table or policy bails out.
[[nodiscard]] std::string to_tap(const std::vector<ExpectationReport>& reports);
// The JUnit XML that GitLab and Jenkins read, one suite a table; a wrong table or policy is an error of its suite.
[[nodiscard]] std::string to_junit(const std::vector<ExpectationReport>& reports, const ReportFacts& facts);
// One object with a list of tables.
[[nodiscard]] std::string to_json(const std::vector<ExpectationReport>& reports);

}  // namespace soleroute::policy
