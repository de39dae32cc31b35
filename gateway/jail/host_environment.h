// What a jail takes from the machine it is made on, and what it hides of it: resolvers, sockets, directories, policy.
// Read before the jail is made; changes nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/mount_info.h"
#include "base/result.h"
#include "gateway/host/policy_files.h"
#include "gateway/jail/mounts.h"
#include "policy/policy.h"

namespace soleroute::gateway::jail {

// A policy and the very text it was made of.
struct LoadedPolicy {
  std::vector<policy::PolicySource> sources;  // the files
  std::shared_ptr<const policy::Policy> policy;
  host::PolicyChoice choice{};
  std::string directory{};  // of a guessed choice: where the file was looked for
};
[[nodiscard]] base::Result<LoadedPolicy> load_jail_policy(const std::vector<std::string>& files,
                                                          const host::FileReader& read = host::read_settled_file,
                                                          std::span<const policy::PolicySource> over = {});
// One line for each policy file that is not any more what it was, and for one that the next run would take instead.
[[nodiscard]] std::vector<std::string> policy_changes(const LoadedPolicy& loaded);

// The host's sockets that are to be covered: all that have a path but those named (the same socket by any path).
[[nodiscard]] base::Result<std::vector<std::string>> sockets_to_mask(std::vector<std::string> bound,
                                                                     std::span<const std::string> kept);

struct MountRequest {
  uid_t uid = 0;                         // the command's
  std::string home;                      // likewise; may be empty
  std::vector<std::string> environment;  // the gateway's own
  base::IpAddress nameserver;
  std::span<const std::string> kept_sockets;
  std::span<const base::Mount> mounts;
};

struct HostEnvironment {
  MountPlan mounts;
  std::vector<std::string> foreign_sockets;  // covered, and bound outside this network namespace
  std::vector<std::string> cut_searches;     // folders in which a bound left sockets unseen
};

// The whole view of the file system, but for what the command is to trust.
[[nodiscard]] base::Result<HostEnvironment> plan_mounts(const MountRequest& request);

// One line about sockets that nobody may expect to be hidden; empty where there are none.
[[nodiscard]] std::string say_hidden(std::span<const std::string> sockets);
// Likewise about folders in which not everything was searched.
[[nodiscard]] std::string say_cut(std::span<const std::string> folders);

}  // namespace soleroute::gateway::jail
