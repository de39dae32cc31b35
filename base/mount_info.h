// The mounts that a process sees, read from the text of /proc/self/mountinfo (proc(5)).
// Pure, except read_mount_info().
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace soleroute::base {

struct Mount {
  std::string device;   // "major:minor" of the file system
  std::string root;     // the path within the file system that is mounted
  std::string point;    // the path at which it is mounted
  std::string type;     // "ext4", "autofs"; empty in a line that is cut short
  std::string options;  // of the file system, separated by commas
  bool operator==(const Mount&) const = default;
};

// The text for the calling process.
[[nodiscard]] Result<std::string> read_mount_info();

// In the order of the text: of two mounts at one point, the later one is visible. A malformed line is left out.
[[nodiscard]] std::vector<Mount> parse_mount_info(std::string_view mountinfo);

// Whether `path` is `folder` or below it. Both are absolute, without a trailing slash except for "/".
[[nodiscard]] bool is_in(std::string_view path, std::string_view folder);

// The mount that `path` (absolute, canonical) is on; nullptr where no mount holds it.
[[nodiscard]] const Mount* mount_of(std::string_view path, std::span<const Mount> mounts);

// Every path at which the mounts show the file at `path` (absolute, canonical), `path` first. A later mount may hide
// some of them, so compare the files themselves.
[[nodiscard]] std::vector<std::string> paths_of_same_file(const std::string& path, std::span<const Mount> mounts);

}  // namespace soleroute::base
