// One line of the decision log read back (docs/log.md), for those that watch it or learn from it.
// Pure functions; the line is not trusted.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/audit/decision_log.h"

namespace soleroute::gateway::audit {

inline constexpr std::size_t kMaxLogLine = std::size_t{64} * 1024;  // longer lines are none of ours

enum class LineType : std::uint8_t { kDecision, kReload, kLifecycle, kError };

struct LogLine {
  std::string ts;  // as written
  LineType type = LineType::kDecision;
  DecisionRecord decision;  // of a decision
  bool probe = false;       // of a decision: a denial that `gateway verify` asked for
  std::string event;        // of a lifecycle
  std::string text;         // detail or message of the others
  bool accepted = true;     // of a reload
};

// What stands before the first brace is skipped: `docker compose logs` puts the service's name there. Nothing for what
// is no such object, or names no type, phase or action that we know. Fields of a wrong type count as absent.
[[nodiscard]] std::optional<LogLine> parse_log_line(std::string_view line);

}  // namespace soleroute::gateway::audit
