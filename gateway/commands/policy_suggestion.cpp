// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_suggestion.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "gateway/audit/suggestion.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kMaxItems = 500;
constexpr std::string_view kSpecialName = "special-use name";  // as the DNS server remarks on names it never asks for

using Compiled = base::Result<std::shared_ptr<const policy::Policy>>;

// A policy that grows by what proves to help.
class Draft {
 public:
  Draft(std::vector<policy::PolicySource> layers, std::shared_ptr<const policy::Policy> policy)
      : layers_(std::move(layers)), policy_(std::move(policy)) {}

  // False: no line helps.
  bool allow(const audit::DecisionRecord& refused) {
    if (audit::is_allowed_now(refused, *policy_)) return true;
    audit::PolicyLines grown = lines_;
    if (!grown.add(audit::lines_to_allow(refused, *policy_))) return false;
    const Compiled fresh = with(grown.text());
    if (!fresh || !audit::is_allowed_now(refused, **fresh)) return false;
    lines_ = std::move(grown);
    policy_ = *fresh;
    return true;
  }
  [[nodiscard]] std::string yaml() const { return lines_.text(); }

 private:
  [[nodiscard]] Compiled with(std::string lines) const {
    auto all = layers_;
    all.push_back({"suggestion", std::move(lines)});
    return policy::Policy::compile(all);
  }

  std::vector<policy::PolicySource> layers_;
  std::shared_ptr<const policy::Policy> policy_;
  audit::PolicyLines lines_{kMaxItems};
};

}  // namespace

void Refusals::add(const audit::DecisionRecord& record) {
  if (record.allowed) return;
  auto key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", policy::to_string(record.phase), record.reason, record.host,
                         record.scheme, record.port, record.method, record.path,
                         record.phase == policy::Phase::kPacket || record.host.empty() ? record.destination : "");
  if (known_.contains(key)) return;
  if (kinds_.size() == kMaxKinds) {
    ++not_kept_;
    return;
  }
  known_.emplace(std::move(key), kinds_.size());
  kinds_.push_back(record);
}

base::Result<PolicySuggestion> suggest(const Refusals& refusals, std::vector<policy::PolicySource> layers) {
  auto policy = policy::Policy::compile(layers);
  if (!policy) return std::unexpected(std::move(policy.error()));
  Draft draft(std::move(layers), std::move(*policy));
  PolicySuggestion out;
  // A look-up alone says least: it is asked about last, when what followed it may have allowed the name already.
  for (const bool lookups : {false, true}) {
    for (const auto& refused : refusals.kinds()) {
      if ((refused.phase == policy::Phase::kDns) != lookups) continue;
      const bool never = refused.detail.find(kSpecialName) != std::string::npos;
      if (never || !draft.allow(refused)) ++out.without[refused.reason];
    }
  }
  out.yaml = draft.yaml();
  return out;
}

}  // namespace soleroute::gateway::commands
