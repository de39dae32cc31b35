// Which hidden Unix socket a failed command may have needed.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>

namespace soleroute::gateway::jail {

// A line for the end of a run, where the command names a program that cannot work without a socket (docker, ssh-add,
// systemctl) and that socket is among the hidden ones; else empty. `hidden`: sockets and emptied folders.
[[nodiscard]] std::string socket_hint(std::span<const std::string> command, std::span<const std::string> environment,
                                      std::span<const std::string> hidden);

}  // namespace soleroute::gateway::jail
