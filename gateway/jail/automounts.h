// Automount points: the kernel asks a process outside to mount what a name below them stands for. A name of the
// command's choice would be resolved and dialled in the machine's own network.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/mount_info.h"
#include "base/result.h"

namespace soleroute::gateway::jail {

struct Automount {
  std::string point;
  std::vector<std::string> mounted;  // what is mounted below it now, and stays
  bool operator==(const Automount&) const = default;
};

// Those that can be seen: autofs, AFS that takes the name of any cell (`dyn`), and afuse. Each before those below it.
// Not those below /proc, which the jail has its own of.
[[nodiscard]] std::vector<Automount> find_automounts(std::span<const base::Mount> mounts);

// Called inside, with CAP_SYS_ADMIN over the mount namespace: the point becomes a read-only folder with nothing in it
// but what is mounted already. One that is not there or out of reach is left alone.
[[nodiscard]] base::Status stop_automount(const Automount& automount);

}  // namespace soleroute::gateway::jail
