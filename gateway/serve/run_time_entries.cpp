// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/run_time_entries.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::serve {
namespace {

constexpr std::size_t kMaxAgentName = 64;
constexpr std::string_view kAgentIndent = "    ";

// What needs no quotes in YAML; what else a policy could call an agent is not asked for here.
bool is_agent_name(std::string_view name) {
  const auto is_plain = [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxAgentName && std::ranges::all_of(name, is_plain);
}

std::string lines_of(const RunTimeEntry& entry) {
  if (entry.action == RunTimeEntry::Action::kAllow) return entry.item.lines;
  return "deny:\n" + entry.item.lines.substr(entry.item.lines.find('\n') + 1);
}

std::string indented(std::string_view lines) {
  std::string out;
  for (const std::string_view line : base::lines_of(lines)) out += fmt::format("{}{}\n", kAgentIndent, line);
  return out;
}

}  // namespace

std::string_view to_string(RunTimeEntry::Action action) {
  return action == RunTimeEntry::Action::kAllow ? "allow" : "deny";
}

base::Result<RunTimeEntry> parse_run_time_entry(const ControlQuestion& question, RunTimeEntry::Clock::time_point now) {
  if (!question.agent.empty() && !is_agent_name(question.agent)) {
    return base::usage_error(fmt::format("'{}' is not the name of an agent", base::shown(question.agent)));
  }
  SR_LET(item, parse_policy_item(question.host));
  RunTimeEntry entry{.host = question.host, .agent = question.agent, .item = std::move(*item)};
  if (question.lasts) entry.until = now + *question.lasts;
  if (question.ask == to_string(RunTimeEntry::Action::kDeny)) entry.action = RunTimeEntry::Action::kDeny;
  if (entry.action == RunTimeEntry::Action::kDeny && entry.item.list == "services") {
    return base::usage_error(fmt::format("{}: deny takes hosts, not services", base::shown(question.host)));
  }
  return entry;
}

base::Status RunTimeEntries::add(RunTimeEntry entry) {
  forget(entry);
  if (entries_.size() == kMost) {
    return base::usage_error(
        fmt::format("there are {} such entries already. Remove some with 'gateway forget', or add this one to the "
                    "policy file with --save",
                    kMost));
  }
  entries_.push_back(std::move(entry));
  return {};
}

std::size_t RunTimeEntries::forget(const RunTimeEntry& like) {
  return std::erase_if(entries_, [&](const RunTimeEntry& entry) { return entry.same_subject(like); });
}

std::vector<RunTimeEntry> RunTimeEntries::drop_those_of_agents() {
  std::vector<RunTimeEntry> dropped;
  std::ranges::copy_if(entries_, std::back_inserter(dropped), [](const auto& entry) { return !entry.agent.empty(); });
  std::erase_if(entries_, [](const RunTimeEntry& entry) { return !entry.agent.empty(); });
  return dropped;
}

std::vector<RunTimeEntry> RunTimeEntries::drop_ended(RunTimeEntry::Clock::time_point now) {
  const auto is_over = [now](const RunTimeEntry& entry) { return entry.until && *entry.until <= now; };
  std::vector<RunTimeEntry> dropped;
  std::ranges::copy_if(entries_, std::back_inserter(dropped), is_over);
  std::erase_if(entries_, is_over);
  return dropped;
}

std::optional<RunTimeEntry::Clock::time_point> RunTimeEntries::next_end() const {
  std::optional<RunTimeEntry::Clock::time_point> next;
  for (const RunTimeEntry& entry : entries_) {
    if (entry.until && (!next || *entry.until < *next)) next = entry.until;
  }
  return next;
}

policy::PolicySource RunTimeEntries::layer() const {
  std::vector<std::string> agents;
  for (const RunTimeEntry& entry : entries_) {
    if (!entry.agent.empty() && std::ranges::find(agents, entry.agent) == agents.end()) agents.push_back(entry.agent);
  }
  const auto lines_for = [this](std::string_view agent) {
    std::string lines;
    for (const RunTimeEntry& entry : entries_) {
      if (entry.agent == agent) lines += lines_of(entry);
    }
    return merged_lines(lines, {});
  };
  std::string text = lines_for("");
  if (!agents.empty()) text += "agents:\n";
  for (const std::string& agent : agents) {
    text += fmt::format("  - name: \"{}\"\n{}", agent, indented(lines_for(agent)));
  }
  return {kRunTimeLayer, std::move(text)};
}

std::string duration_text(std::chrono::seconds duration) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  const std::int64_t seconds = duration.count();
  if (seconds % kHour == 0 && seconds > 0) return fmt::format("{} h", seconds / kHour);
  if (seconds % kMinute == 0 && seconds > 0) return fmt::format("{} min", seconds / kMinute);
  return fmt::format("{} s", seconds);
}

}  // namespace soleroute::gateway::serve
