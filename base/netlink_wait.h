// How long an answer of the kernel over netlink is waited for, and what is said when none comes. It answers within
// microseconds; only a sandbox that takes requests and forgets them makes anybody wait.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::base {

inline constexpr int kNetlinkWaitSeconds = 3;

// Best effort: where it cannot be set there is no limit.
inline void limit_waiting(int socket, std::chrono::milliseconds wait = std::chrono::seconds(kNetlinkWaitSeconds)) {
  const timeval limit{.tv_sec = wait.count() / 1000, .tv_usec = wait.count() % 1000 * 1000};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

inline std::string no_answer(std::string_view what) {
  return std::string(what) + ": the kernel did not answer over netlink within " + std::to_string(kNetlinkWaitSeconds) +
         " s; a sandbox (gVisor and its like) may not implement it";
}

// The error of a receive that failed, from errno.
[[nodiscard]] inline std::unexpected<Error> receive_error(std::string_view what) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return system_error(no_answer(what));
  return errno_error(std::string(what));
}

}  // namespace soleroute::base
