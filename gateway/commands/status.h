// The answer of a running gateway's control socket, in words.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::commands {

struct StatusReport {
  std::string text;      // lines for people
  bool healthy = false;  // health is "healthy", the rules are as intended and the policy is not stale
};

// `answer` is the JSON object of gateway/serve/control_socket.h. Not that: an error.
[[nodiscard]] base::Result<StatusReport> describe_status(std::string_view answer);

}  // namespace soleroute::gateway::commands
