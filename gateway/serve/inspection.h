// From what the options name to what flows are given for inspecting.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "gateway/inspect/authority.h"
#include "gateway/inspect/inspection.h"
#include "gateway/serve/policy_files.h"

namespace soleroute::gateway::serve {

// The certificates of these files in PEM form, each parsed; whatever else the files hold is left out. kUsage names the
// file.
[[nodiscard]] base::Result<std::string> read_roots(std::span<const std::string> files,
                                                   const FileReader& read = read_small_file);

// Starts the thread that signs: call it after the last fork.
[[nodiscard]] base::Result<std::shared_ptr<const inspect::Inspection>> make_inspection(
    inspect::Authority authority, const std::string& origin_roots_pem);

}  // namespace soleroute::gateway::serve
