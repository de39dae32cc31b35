// What a command may be given as standard input, output and error: nothing by which it could reach out of its jail.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/result.h"

namespace soleroute::gateway::jail {

// A kSystem error that names the first descriptor of 0 to 2 that leads out. Passed: files, pipes, terminals, the memory
// devices (/dev/null …), block devices, and Unix stream sockets that are connected. Refused, because it keeps the
// network namespace or the mounts of its maker, or holds other descriptors:
// - every other socket: what is bound, connected or accepted through it is outside;
// - a directory and an O_PATH descriptor: paths below it lead past the mounts that hide sockets;
// - a namespace, a process, io_uring, epoll and the like, and character devices such as /dev/net/tun.
[[nodiscard]] base::Status check_standard_descriptors();

}  // namespace soleroute::gateway::jail
