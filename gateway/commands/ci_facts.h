// What the reports of `gateway check` and `gateway test` share.
// Single-threaded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "policy/expectations.h"
#include "policy/policy_faults.h"

namespace soleroute::gateway::commands {

// Time and machine of this run, for JUnit.
[[nodiscard]] policy::ReportFacts report_facts();

// An error that is not about a line of `file`.
[[nodiscard]] policy::PolicyFault file_fault(const std::string& file, const base::Error& error);

// Each fault on standard error, and how many there are.
void report_faults(const policy::PolicyFaults& faults);

}  // namespace soleroute::gateway::commands
