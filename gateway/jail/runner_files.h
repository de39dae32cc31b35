// The files of a CI runner (GitHub Actions) through which a step sets variables, PATH and outputs of later steps, which
// run outside the jail. Found by the variables of the gateway's own environment.
// Single-threaded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mount_info.h"
#include "base/result.h"
#include "gateway/jail/credentials.h"

namespace soleroute::gateway::jail {

inline constexpr std::array<std::string_view, 4> kRunnerVariables{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH",
                                                                  "GITHUB_STATE"};

// The paths to keep from the command. A file that is missing is made, so that the command cannot make it. Errors:
// kUsage for a file that cannot be kept from the command, kSystem where standard output is such a file.
[[nodiscard]] base::Result<std::vector<std::string>> keep_runner_files(const Identity& command,
                                                                       std::span<const base::Mount> mounts);

}  // namespace soleroute::gateway::jail
