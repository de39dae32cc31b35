// A duration on the command line: 90s, 15m, 2h, 1d.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::serve {

// At least one second and at most a year. Errors are kUsage and name the option.
[[nodiscard]] base::Result<std::chrono::seconds> parse_duration(std::string_view option, std::string_view text);

}  // namespace soleroute::gateway::serve
