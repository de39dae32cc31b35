// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/policy_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "policy/effective.h"

namespace soleroute::gateway::flow {
namespace {

constexpr std::size_t kHostsShown = 20;

std::string allowed_in_short(const policy::Policy& policy) {
  if (policy.mode() == policy::Mode::kObserve) {
    return "Observe mode: nothing public is blocked; would-be denials are logged.\n";
  }
  if (policy.denies_everything()) return "Nothing is allowed.\n";
  const auto hosts = policy::host_patterns(policy);
  std::string out = "Allowed hosts (some only with rules, see /policy):\n\n";
  for (const auto host : std::span(hosts).first(std::min(hosts.size(), kHostsShown)))
    out += fmt::format("  {}\n", host);
  if (hosts.size() > kHostsShown) out += fmt::format("  and {} more\n", hosts.size() - kHostsShown);
  const auto endpoints = policy.endpoints().size();
  if (endpoints > 0) out += fmt::format("  and {} other endpoint{}\n", endpoints, endpoints == 1 ? "" : "s");
  return out;
}

}  // namespace

std::shared_ptr<const PolicyPages> policy_pages(const policy::Policy& policy) {
  PolicyPages pages{allowed_in_short(policy), std::make_shared<const std::string>(policy::effective_text(policy)),
                    std::make_shared<const std::string>(policy::effective_json(policy))};
  return std::make_shared<const PolicyPages>(std::move(pages));
}

}  // namespace soleroute::gateway::flow
