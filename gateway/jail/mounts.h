// The jail's view of the file system: the host's own, less what leads around the gateway. All in a private mount
// namespace: nothing on the host changes, and nothing of it outlives the jail.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/jail/added_file.h"
#include "gateway/jail/automounts.h"

namespace soleroute::gateway::jail {

// A file whose text the jail sees in place of the host's.
struct FileReplacement {
  std::string path;
  std::string text;
};

// A file that is alone in a directory of the host's, which the jail sees in place of what is in it.
struct LoneFile {
  std::string directory;
  std::string name;
  std::string text;
};

struct MountPlan {
  std::vector<std::string> pinned_folders;     // cannot be renamed or removed; each before those below it
  std::vector<std::string> read_only_files;    // likewise, nor written to
  std::vector<std::string> masked_sockets;     // connect(2) to them is refused; named pipes lead nowhere
  std::vector<std::string> empty_directories;  // become empty, private and writable
  std::vector<FileReplacement> files;
  std::vector<LoneFile> lone_files;
  std::vector<AddedFile> added_files;
  std::vector<Automount> automounts;  // mount nothing any more
};

// All are called inside, with CAP_SYS_ADMIN over the mount namespace, in this order.

// From here on the host sees none of what is mounted.
[[nodiscard]] base::Status leave_host_mounts();
// A new procfs over /proc, for a PID namespace of our own. EPERM where a container engine hides parts of the outer one.
[[nodiscard]] base::Status mount_fresh_proc();
// What is to be hidden and not there, or out of its user's reach, is left alone; any other failure is an error, and the
// jail must not start. The working directory is entered again by its path, because it would lead below what covers it.
[[nodiscard]] base::Status cover_host_paths(const MountPlan& plan);
// Every procfs that the mounts show besides /proc becomes empty: it would show processes outside.
[[nodiscard]] base::Status hide_other_procfs();
// /proc/sys, /sys and their like become read-only, and so does every such file system that is mounted elsewhere, for a
// command that is uid 0: root owns these files, and writing some of them makes the kernel run a program outside
// (core_pattern, uevent_helper); no capability is asked for.
[[nodiscard]] base::Status guard_kernel_files();

// The text of resolv.conf(5) with `nameserver` alone; its other lines are kept.
[[nodiscard]] std::string resolv_conf_with(std::string_view text, std::string_view nameserver);

}  // namespace soleroute::gateway::jail
