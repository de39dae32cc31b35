// Sockets on their way to an outside address, for all who dial.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::net {

// A TCP socket, non-blocking and without delay: the connection is complete once it is writable and socket_error() is 0.
// `mark` is the sidecar's, 0 elsewhere; an unmarked packet would come back to this gateway, so that a mark that cannot
// be set is an error. Errors: kSystem, with sys_errno.
[[nodiscard]] base::Result<base::Fd> begin_connect(const base::Endpoint& remote, std::uint32_t mark);
// A UDP socket that sends to this address and hears nothing else. The same mark and errors.
[[nodiscard]] base::Result<base::Fd> connect_udp(const base::Endpoint& remote, std::uint32_t mark);
// What became of a connect(2): 0, or an errno.
[[nodiscard]] int socket_error(int fd);

}  // namespace soleroute::gateway::net
