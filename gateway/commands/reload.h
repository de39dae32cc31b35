// What a running gateway answered when it was asked to read its policy again.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::commands {

struct ReloadReport {
  bool accepted = false;
  bool everywhere = true;  // in force on every worker, and from the file that was meant
  std::string text;        // for people; may be of several lines
};

// `answer` is the JSON object of gateway/serve/control_socket.h. Not that, or an error that it tells: an error.
[[nodiscard]] base::Result<ReloadReport> describe_reload(std::string_view answer);

}  // namespace soleroute::gateway::commands
