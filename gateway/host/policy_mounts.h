// Policy files that are mounted so that a new file which is renamed to their place outside is not seen here.
// Reads /proc/self/mountinfo and the state of files.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mount_info.h"

namespace soleroute::gateway::host {

struct MountFault {
  enum class Kind : std::uint8_t {
    kReplaced,   // what is mounted was replaced or removed outside
    kUnchanged,  // a file is mounted, and it has not changed since it was read last
  };
  Kind kind = Kind::kUnchanged;
  std::string message;  // for people, with what to do
  bool operator==(const MountFault&) const = default;
};

// `path` is absolute and canonical; `changed`: its content has changed since it was read last.
[[nodiscard]] std::optional<MountFault> mount_fault(const std::string& path, std::span<const base::Mount> mounts,
                                                    bool linked, bool changed);
// The worst of those of `paths`, which were read last at `read_before`.
[[nodiscard]] std::optional<MountFault> mount_fault(std::span<const std::string> paths,
                                                    std::chrono::system_clock::time_point read_before);
// `warnings`, and the message of a kReplaced one.
[[nodiscard]] std::vector<std::string> with_mount_warning(std::vector<std::string> warnings,
                                                          std::span<const std::string> paths);

}  // namespace soleroute::gateway::host
