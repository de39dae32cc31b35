// A change of a policy file by a command: shown, then written.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"
#include "policy/policy_edit.h"

namespace soleroute::gateway::commands {

// The lines that differ, each with its number and a sign: "+" is new, "-" is gone. Control characters are escaped.
[[nodiscard]] std::string change_text(std::string_view before, std::string_view after);

// The last of `layers` with these entries. It compiles, alone and over the other layers.
[[nodiscard]] base::Result<policy::PolicySource> changed_policy(std::vector<policy::PolicySource> layers,
                                                                std::span<const policy::NewEntry> entries);

}  // namespace soleroute::gateway::commands
