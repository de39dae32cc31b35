// The way along a path, look-up by look-up, so that each can be judged: who may change it?
// Reads the file system of the calling process.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::jail {

enum class StepKind : std::uint8_t { kFolder, kLink, kOther, kAbsent };

// One look-up of a name in a folder.
struct Step {
  std::string folder;  // canonical
  std::string path;    // of the entry: folder and name
  StepKind kind = StepKind::kAbsent;
  struct stat facts{};  // of the entry itself; zeroes for kAbsent
};

// The steps from `start` (canonical, absolute; "/" for an absolute `path`), symbolic links followed. Ends at the first
// name that is absent or no folder. A descriptor of /proc/PID/fd that has no path, a pipe for instance, ends as kOther.
// kUsage for a path that cannot be followed: a loop, or a folder that may not be searched.
[[nodiscard]] base::Result<std::vector<Step>> walk_path(const std::string& path, const std::string& start);

}  // namespace soleroute::gateway::jail
