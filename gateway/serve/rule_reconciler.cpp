// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/rule_reconciler.h"

#include <fmt/format.h>

#include <utility>

namespace soleroute::gateway::serve {

RuleReconciler::RuleReconciler(std::unique_ptr<netrules::Kernel> kernel, audit::DecisionLog& log, bool programs)
    : kernel_(std::move(kernel)), log_(log), programs_(programs) {}

base::Status RuleReconciler::probe() {
  if (!programs_) return {};
  SR_LET(features, kernel_->probe());
  if (const auto missing = features->missing(); !missing.empty()) {
    return base::system_error(
        fmt::format("cannot restrict this network; the kernel lacks:\n  {}", fmt::join(missing, "\n  ")));
  }
  features_ = *features;
  return {};
}

base::Result<bool> RuleReconciler::has_rules(const base::Result<netrules::Ruleset>& like) {
  if (!programs_) return false;
  if (!like) return std::unexpected(like.error());
  return kernel_->holds(like->table);
}

base::Status RuleReconciler::program(base::Result<netrules::Ruleset> ruleset, std::string name) {
  if (!programs_) return {};
  if (!ruleset) return std::unexpected(ruleset.error());
  SR_TRY(kernel_->apply(*ruleset));
  ruleset_ = std::move(*ruleset);
  name_ = std::move(name);
  log_.lifecycle(name_ + "_rules", "programmed");
  return {};
}

base::Status RuleReconciler::verify() {
  if (!programs_ || !ruleset_) return {};
  SR_LET(differences, kernel_->difference(*ruleset_));
  if (differences->empty()) return {};
  return base::system_error(
      fmt::format("the kernel's rules differ from those that were installed:\n  {}", fmt::join(*differences, "\n  ")));
}

void RuleReconciler::log_what_stays() const {
  if (!programs_) return;
  log_.lifecycle("rules_stay", "nftables rules stay: nothing leaves this namespace. To remove them: gateway unguard");
}

bool RuleReconciler::restore() {
  if (!programs_ || !ruleset_) return true;
  const auto differences = kernel_->difference(*ruleset_);
  differences_ = differences ? *differences : std::vector<std::string>{differences.error().message};
  if (differences_.empty()) return true;
  const auto restored = kernel_->apply(*ruleset_);
  log_.error(fmt::format("nftables rules were changed by another program ({}); {}", differences_.front(),
                         restored ? std::string("restored") : "cannot restore them: " + restored.error().message));
  return restored.has_value();
}

}  // namespace soleroute::gateway::serve
