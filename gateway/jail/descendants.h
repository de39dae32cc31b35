// The end of every process that descends from this one, for jails that have no PID namespace to do it at once.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace soleroute::gateway::jail {

// Kills and reaps all children, and theirs as they become ours: the caller is a child subreaper. Needs
// CONFIG_PROC_CHILDREN, which distributions have.
void kill_descendants();

}  // namespace soleroute::gateway::jail
