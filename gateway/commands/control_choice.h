// Which running gateway a command asks: the one whose socket is named, or the only one there is.
// Looks at folders and connects; used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "base/result.h"

namespace soleroute::gateway::commands {

// `named`: --control. The default socket if a gateway answers there; otherwise the only `gateway run` of this user, or
// of the user for whom sudo runs this. Several of them: an error that lists them. None: `named`.
[[nodiscard]] base::Result<std::string> choose_control_socket(const std::string& named);

}  // namespace soleroute::gateway::commands
