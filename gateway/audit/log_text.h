// A line of the decision log for people: aligned, whatever the log holds never drives the terminal.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "gateway/audit/log_line.h"

namespace soleroute::gateway::audit {

// "03:05:01  deny   10.77.0.2  http  GET example.com/  host_not_allowed", without a line end.
// Decisions are one line. Messages keep their lines (faults of a policy), each behind a margin, so that none looks like
// a record.
[[nodiscard]] std::string log_text(const LogLine& line, bool colour);

// What `--denied` shows: refusals, also those that only observing let pass, and what went wrong.
[[nodiscard]] bool is_denial(const LogLine& line);

}  // namespace soleroute::gateway::audit
