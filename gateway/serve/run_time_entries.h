// Entries of the policy that an operator adds while the gateway runs, as one more layer over the files.
// A plain value: copied, changed, compiled, and kept if the result is in force.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/serve/allow_layer.h"
#include "gateway/serve/control_question.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

// The layer's name, as logs and pages show it: "gateway allow:2".
inline constexpr const char* kRunTimeLayer = "gateway allow";

struct RunTimeEntry {
  using Clock = std::chrono::steady_clock;
  enum class Action : std::uint8_t { kAllow, kDeny };

  Action action = Action::kAllow;
  std::string host{};   // as it was asked for
  std::string agent{};  // empty: the common policy
  PolicyItem item{};
  std::optional<Clock::time_point> until{};  // absent: as long as the gateway runs

  // Is it about the same host of the same agent?
  [[nodiscard]] bool same_subject(const RunTimeEntry& other) const {
    return agent == other.agent && item.lines == other.item.lines;
  }
};

[[nodiscard]] std::string_view to_string(RunTimeEntry::Action action);

// What "allow" or "deny" asks for. Errors are kUsage.
[[nodiscard]] base::Result<RunTimeEntry> parse_run_time_entry(const ControlQuestion& question,
                                                              RunTimeEntry::Clock::time_point now);

class RunTimeEntries {
 public:
  static constexpr std::size_t kMost = 256;

  // In the place of one with the same subject.
  [[nodiscard]] base::Status add(RunTimeEntry entry);
  // How many it was.
  std::size_t forget(const RunTimeEntry& like);
  // Those that name an agent; the common ones stay.
  std::vector<RunTimeEntry> drop_those_of_agents();
  // Those whose time is over.
  std::vector<RunTimeEntry> drop_ended(RunTimeEntry::Clock::time_point now);
  // When the next one ends.
  [[nodiscard]] std::optional<RunTimeEntry::Clock::time_point> next_end() const;

  [[nodiscard]] const std::vector<RunTimeEntry>& all() const { return entries_; }
  // The layer; empty text if there are none.
  [[nodiscard]] policy::PolicySource layer() const;

 private:
  std::vector<RunTimeEntry> entries_;
};

// "15 min", "90 s", "2 h"
[[nodiscard]] std::string duration_text(std::chrono::seconds duration);

}  // namespace soleroute::gateway::serve
