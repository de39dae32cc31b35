// Unix sockets of processes outside that the kernel's table does not list: those bound in another network namespace.
// Looks at the file system of the calling process and sends nothing to any socket.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/mount_info.h"
#include "gateway/jail/socket_places.h"

namespace soleroute::gateway::jail {

// Over all folders: sockets and folders of other users than the command's, and of that user.
inline constexpr std::size_t kMaxOthersSearched = std::size_t{128} * 1024;
inline constexpr std::size_t kMaxOwnSearched = std::size_t{1024} * 1024;

// Canonical paths, sorted, each once.
struct FoundSockets {
  std::vector<std::string> live;
  // Folders of the command's user that could not be read or entered: it may give itself the right, and so may have
  // taken it away.
  std::vector<std::string> closed;
  std::vector<std::string> cut;  // of the searched folders, those in which a bound left something unseen
};

// Live sockets in these places. A socket's file that no process has bound is left out: the command may want to replace
// it. Symbolic links are followed for the places themselves and not below.
[[nodiscard]] FoundSockets find_live_sockets(const SocketPlaces& places, std::span<const base::Mount> mounts);

// Whether some process has bound the socket at `path`; true where the answer is not known.
[[nodiscard]] bool is_live_socket(const std::string& path);

// `sockets` and every other path at which the mounts show them, sorted, each once.
[[nodiscard]] std::vector<std::string> with_other_paths(const std::vector<std::string>& sockets,
                                                        std::span<const base::Mount> mounts);

}  // namespace soleroute::gateway::jail
