// What the gateway reads or writes by a name, and the command must not change: for this run, nor for the next one.
// Reads the file system; changes nothing. Called while the process has one thread: it may become another user
// meanwhile.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mount_info.h"
#include "base/result.h"
#include "gateway/jail/credentials.h"

namespace soleroute::gateway::jail {

enum class TrustedKind : std::uint8_t {
  kFile,    // is read: a policy, root certificates
  kLog,     // is written
  kFolder,  // is read and hidden: secrets, the CA
  kSecret,  // is a file, read and hidden: a password
};

struct TrustedPath {
  std::string path;
  TrustedKind kind = TrustedKind::kFile;
  // False for a policy that was found in the working directory: the folders above may then be renamed.
  bool named = true;
};

// What was found at a path.
struct JudgedPath {
  std::string named;  // as it was given
  std::string path;   // canonical
  bool there = false;
  dev_t device = 0;
  ino_t inode = 0;
  bool within_reach = false;  // the command's user may put something else in its place, or in that of a folder above
};

// What has to be mounted in the jail for it, canonical paths, sorted.
struct Protection {
  std::vector<std::string> pinned_folders;  // cannot be renamed or removed
  std::vector<std::string> read_only_files;
  std::vector<std::string> masked;          // named pipes, which a read-only mount does not protect, and kSecret
  std::vector<std::string> hidden_folders;  // kFolder, at every path
  std::vector<JudgedPath> judged;           // in the order of the paths; none for a folder "/"
};

// Errors: kUsage where the command could put another file in the place of one of these whatever is mounted: behind a
// symbolic link that it may replace, or under a second name (hard link). kSystem where standard input, output or error
// is such a file. Both are allowed to root, who can change the program itself. A path that is not there is no error.
[[nodiscard]] base::Result<Protection> protect(std::span<const TrustedPath> paths, const Identity& command,
                                               std::span<const base::Mount> mounts);

}  // namespace soleroute::gateway::jail
