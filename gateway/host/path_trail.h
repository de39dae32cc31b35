// The folders in which a change can give a path another file: its own, and those of the symbolic links on the way.
// Reads the file system.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <set>
#include <string>

namespace soleroute::gateway::host {

struct PathTrail {
  std::set<std::string> folders;  // absolute, without links
  std::string folder;             // of the file itself; empty where the path leads nowhere
  std::string name;               // its name there
};

// Follows at most 40 links, as the kernel does (MAXSYMLINKS). A relative path begins in the working directory.
[[nodiscard]] PathTrail path_trail(const std::string& path);

}  // namespace soleroute::gateway::host
