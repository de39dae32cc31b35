// Where Unix sockets of processes outside the jail may be: the environment, the mounts, and the usual folders.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mount_info.h"

namespace soleroute::gateway::jail {

// A folder to search: its own entries are level 1.
struct SearchedFolder {
  std::string path;
  int levels = 1;
  bool operator==(const SearchedFolder&) const = default;
};

// Sockets and folders that are looked at, over all levels below one searched folder. Other files do not count. What
// belongs to the command's user has a bound of its own: a command before this one may have made any number of them, and
// must not keep the search from the others.
inline constexpr std::size_t kMaxOthersInAFolder = std::size_t{8} * 1024;
inline constexpr std::size_t kMaxOwnInAFolder = std::size_t{128} * 1024;
struct SearchBounds {
  std::size_t others = kMaxOthersInAFolder;
  std::size_t own = kMaxOwnInAFolder;
};

struct SocketPlaces {
  std::vector<SearchedFolder> folders;
  std::vector<std::string> paths;  // each may be a socket, or not be there
  uid_t uid = 0;                   // the command's
  SearchBounds bounds{};
};

// False for a file system of the kernel's own, one that cannot hold a live socket, an automounter's (a look would make
// it mount), and one whose server may be away (a look could wait for ever).
[[nodiscard]] bool may_hold_sockets(const base::Mount& mount);

// Every absolute path in the value of a variable: `unix:///run/x.sock`, `unix:path=/run/bus,guid=…`, `/tmp/a,123,0`.
[[nodiscard]] std::vector<std::string> paths_in(std::string_view value);

// `environment` is that of the gateway, "NAME=value" each; `home` and `uid` are the command's.
[[nodiscard]] SocketPlaces socket_places(std::span<const std::string> environment, std::span<const base::Mount> mounts,
                                         const std::string& home, uid_t uid);

}  // namespace soleroute::gateway::jail
