// New namespaces around a child process, with the user mapped to itself, and words for when the system forbids it.
// Called while the process has one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace soleroute::gateway::jail {

struct NamespaceSet {
  bool user = true;  // false: the caller is privileged and needs none
  bool pid = true;   // the child is process 1 of its own
};

// As fork(2): 0 in the child, which stands in a new network and mount namespace and those of `set`, and there has every
// capability over them. With a user namespace the child must call map_own_identity() before anything else.
[[nodiscard]] base::Result<pid_t> fork_into(const NamespaceSet& set);

// In a process that has just entered a new user namespace: its user and group keep their numbers, nobody else has one.
[[nodiscard]] base::Status map_own_identity(uid_t uid, gid_t gid);
// A user namespace below the present one, for the calling process alone; the identity keeps its numbers.
[[nodiscard]] base::Status enter_nested_user_namespace(uid_t uid, gid_t gid);

// For another process that has just entered one: every user and group that has a number here keeps it there. The caller
// is privileged.
[[nodiscard]] base::Status map_every_identity(pid_t process);

// The switches with which systems forbid user namespaces, as found; absent where the kernel has no such switch.
struct UserNamespaceSwitches {
  std::optional<long> max_user_namespaces = std::nullopt;  // user.max_user_namespaces
  std::optional<long> unprivileged_clone = std::nullopt;   // kernel.unprivileged_userns_clone (Debian, Arch)
  std::optional<long> apparmor_restricts = std::nullopt;   // kernel.apparmor_restrict_unprivileged_userns (Ubuntu)
  bool has_proc_user_namespace = true;                     // /proc/self/ns/user exists
  bool no_new_privs = false;                               // sudo gives nothing here
};
[[nodiscard]] UserNamespaceSwitches read_user_namespace_switches();
// The error for a user: what forbids it and what to do, one remedy a line.
[[nodiscard]] std::string explain_forbidden(const UserNamespaceSwitches& switches, int err);

}  // namespace soleroute::gateway::jail
