// Where the commands that only read a policy get it from.
// Single-threaded; standard input is read at most once.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {

// Does the command say on standard error which policy file it read?
enum class PolicyNotice { kSay, kQuiet };

// The layers of the named files, or of `.devcontainer/policy.yaml` or `policy.yaml` here; none means that everything
// is denied. "-" is standard input. A file that cannot be read is a fault, and the others are read all the same.
[[nodiscard]] std::vector<policy::PolicySource> read_policy_layers(const std::vector<std::string>& files,
                                                                   PolicyNotice notice, policy::PolicyFaults& faults);
// The same, compiled; the first fault is the error.
[[nodiscard]] base::Result<std::shared_ptr<const policy::Policy>> load_policy_or_default(
    const std::vector<std::string>& files, PolicyNotice notice = PolicyNotice::kSay);

// The text of a file, or of standard input for "-". Errors are kUsage.
[[nodiscard]] base::Result<std::string> read_input(const std::string& path, std::size_t max_bytes);
// How messages name an input: its path, or "standard input".
[[nodiscard]] std::string input_name(const std::string& path);

}  // namespace soleroute::gateway::commands
