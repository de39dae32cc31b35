// Keeps the intended rules in the kernel: programs them, notices that somebody changed them, puts them back.
// Used on the controlling thread, in the network namespace that it protects.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "netrules/kernel.h"
#include "netrules/ruleset.h"

namespace soleroute::gateway::serve {

class RuleReconciler {
 public:
  // `programs` false: somebody else does (--no-rules); everything here then succeeds and does nothing.
  RuleReconciler(std::unique_ptr<netrules::Kernel> kernel, audit::DecisionLog& log, bool programs);

  // kSystem with everything that is missing. Leaves nothing behind.
  [[nodiscard]] base::Status probe();
  [[nodiscard]] const netrules::Features& features() const { return features_; }

  // Whether a table of that name is in the kernel, whoever programmed it.
  [[nodiscard]] base::Result<bool> has_rules(const base::Result<netrules::Ruleset>& like);
  // `name` ("closed", "open") is what status and log call them. On failure the rules before stay intended and in force.
  [[nodiscard]] base::Status program(base::Result<netrules::Ruleset> ruleset, std::string name);
  // The kernel holds exactly what is intended, or an error that lists the differences.
  [[nodiscard]] base::Status verify();
  // True when the rules stand as intended, or did not and were put back (which is logged).
  bool restore();

  // At the end: how to remove what stays in the kernel.
  void log_what_stays() const;

  [[nodiscard]] const std::string& intended() const { return name_; }
  [[nodiscard]] const std::vector<std::string>& last_differences() const { return differences_; }

 private:
  std::unique_ptr<netrules::Kernel> kernel_;
  audit::DecisionLog& log_;
  bool programs_;
  netrules::Features features_;
  std::optional<netrules::Ruleset> ruleset_;
  std::string name_ = "none";
  std::vector<std::string> differences_;
};

}  // namespace soleroute::gateway::serve
