// Further roots that origins are verified with (`--trust`), from files.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::host {

// The certificates of these files in PEM form, each parsed; whatever else the files hold is left out. kUsage names the
// file.
[[nodiscard]] base::Result<std::string> read_roots(std::span<const std::string> files,
                                                   const FileReader& read = read_small_file);

}  // namespace soleroute::gateway::host
