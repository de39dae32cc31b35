// Lines that a log of denials suggests, and that may be a way for data to leave: a person looks at them first.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "gateway/audit/decision_log.h"
#include "gateway/audit/suggestion.h"

namespace soleroute::gateway::commands {

// Does a label of the name look like data and not like a word: random letters and digits, or very long?
[[nodiscard]] bool looks_random(std::string_view name);

// Why the line that would allow what was refused needs a look; empty: it looks ordinary.
[[nodiscard]] std::string doubt_about(const audit::DecisionRecord& refused, const audit::PolicyLines::Line& line);

}  // namespace soleroute::gateway::commands
