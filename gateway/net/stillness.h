// Whether anything moves on a TCP connection, as the kernel counts it: whoever relays need not count for this.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>

namespace soleroute::gateway::net {

// Nothing has ever come from the peer, or nothing has moved either way for `still` and nothing waits to be sent.
[[nodiscard]] bool is_still(int socket, std::chrono::milliseconds still);

}  // namespace soleroute::gateway::net
