// Who the jailed command is, and how a process becomes it with nothing left to gain.
// Changes the calling process; used before any thread is started.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::jail {

// A user as the command will be. Supplementary groups are set only where the process may set them.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool borrowed = false;  // from SUDO_UID: not who this process is
  std::string name;       // of a borrowed identity, from the user database; may be empty
  std::string home;
  std::string shell;
  bool operator==(const Identity&) const = default;
};

// What is known about the process that asks for a jail.
struct Invoker {
  uid_t uid = 0;
  gid_t gid = 0;
  bool privileged = false;              // may make and program namespaces without a user namespace
  std::optional<std::string> sudo_uid;  // as found in the environment
  std::optional<std::string> sudo_gid;
};

// The calling process. An error if it is set-user-ID or has file capabilities: then its environment is somebody else's.
[[nodiscard]] base::Result<Invoker> examine_invoker();

// With privilege and SUDO_UID other than root: that user; otherwise the invoker itself. SUDO_UID without privilege is
// ignored: it gives nothing. An error if SUDO_UID or SUDO_GID is not a number.
[[nodiscard]] base::Result<Identity> command_identity(const Invoker& invoker);

// Whether the calling process has it in effect (CAP_…).
[[nodiscard]] bool has_capability(int capability);

// The environment of the command: HOME, USER, LOGNAME and SHELL of a borrowed identity in place of root's.
[[nodiscard]] std::vector<std::string> identity_environment(std::vector<std::string> environment,
                                                            const Identity& identity);

// No capability in any set, an empty bounding set, locked securebits that give none back to uid 0, no_new_privs; sets
// uid, gid and groups too if `identity` is given. `keep` capabilities (a mask of 1 << CAP_…) stay permitted and
// effective. Reads back what the kernel says and fails if anything is left.
[[nodiscard]] base::Status drop_privileges(const Identity* identity, std::uint64_t keep = 0);

// For a command that is root of the machine, in a user namespace below the machine's: what is left is power over files
// and identities (package managers change both), none over a network, a mount or another process's memory;
// no_new_privs.
[[nodiscard]] base::Status keep_file_capabilities();

// Ends this process when its parent dies; undone by a change of uid.
[[nodiscard]] base::Status die_with_parent();
// Not to be attached to, read or looked into by processes of the same user; own /proc files become root's.
[[nodiscard]] base::Status set_dumpable(bool dumpable);

}  // namespace soleroute::gateway::jail
