// What `ping` needs in a jail, where no program gets a capability.
// Called in the jail's first process, with every capability over the new namespaces.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

namespace soleroute::gateway::jail {

enum class KnownGroups : bool { kOne, kAll };

// Echo sockets without a capability (net.ipv4.ping_group_range) for the command's group, or for every group where all
// keep their numbers. The packets meet the rules like all others. Where /proc forbids it, ping says that it may not.
void allow_echo_sockets(KnownGroups known, gid_t group);

// From here on file capabilities and set-user-ID bits mean nothing. They give nothing inside anyway (no_new_privs), but
// a program with a capability that the bounding set lacks cannot be executed at all. Linux before 5.12: no effect.
void ignore_file_capabilities();

}  // namespace soleroute::gateway::jail
