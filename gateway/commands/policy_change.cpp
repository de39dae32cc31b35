// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::commands {

std::string change_text(std::string_view before, std::string_view after) {
  const auto old_lines = base::lines_of(before);
  const auto new_lines = base::lines_of(after);
  std::string out;
  const auto tell = [&](std::size_t number, char sign, std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    out += fmt::format("{:>4} {} {}\n", number + 1, sign, base::shown(line));
  };
  std::size_t had = 0;
  std::size_t next = 0;
  while (had < old_lines.size() || next < new_lines.size()) {
    const auto rest = new_lines.begin() + static_cast<std::ptrdiff_t>(next);
    const auto kept = had < old_lines.size() ? std::find(rest, new_lines.end(), old_lines[had]) : new_lines.end();
    if (had < old_lines.size() && kept == new_lines.end()) {
      tell(had, '-', old_lines[had]);
      ++had;
      continue;
    }
    for (const auto until = static_cast<std::size_t>(kept - new_lines.begin()); next < until; ++next) {
      tell(next, '+', new_lines[next]);
    }
    if (had < old_lines.size()) {
      ++had;
      ++next;
    }
  }
  return out;
}

base::Result<policy::PolicySource> changed_policy(std::vector<policy::PolicySource> layers,
                                                  std::span<const policy::NewEntry> entries) {
  SR_LET(text, policy::with_entries(layers.back(), entries));
  layers.back().text = std::move(*text);
  SR_TRY(policy::Policy::compile(layers));
  return std::move(layers.back());
}

}  // namespace soleroute::gateway::commands
