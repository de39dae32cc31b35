// The Unix sockets of the host that have a name in the file system: ways to processes outside the jail.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::jail {

// Absolute paths in the text of /proc/net/unix (proc_net(5)), sorted, each once. Abstract names ("@…") are left out:
// they end with the network namespace. So are relative ones, which only their owner's directory could complete, and
// the unnamed.
[[nodiscard]] std::vector<std::string> bound_paths(std::string_view proc_net_unix);

// The same for the network namespace of the calling process, and only paths that are sockets as seen from here.
[[nodiscard]] base::Result<std::vector<std::string>> reachable_unix_sockets();

}  // namespace soleroute::gateway::jail
