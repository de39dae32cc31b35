// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/listed_lines.h"

#include <cstdint>
#include <set>
#include <utility>

#include "policy/policy_data.h"

namespace soleroute::policy {

std::vector<SourceLine> allowing_lines(const Policy& policy) {
  const Policy::Data& data = policy.data();
  std::set<std::pair<std::uint32_t, std::uint32_t>> found;
  const auto add = [&](const Origin& origin) { found.emplace(origin.file, static_cast<std::uint32_t>(origin.line)); };
  for (const auto& record : data.records) {
    if (record.open) add(record.origin);
    for (const auto& rule : data.rules_of(record)) add(rule.origin);
  }
  for (const auto& endpoint : data.endpoints) add(endpoint.origin);
  std::vector<SourceLine> out;
  for (const auto& [file, line] : found) out.push_back({data.files[file], static_cast<int>(line)});
  return out;
}

}  // namespace soleroute::policy
