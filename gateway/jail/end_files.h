// The files that a run writes when its command has ended: its summary, a job summary, a learned policy. Opened before
// the command starts and out of its reach, so that it can neither forge nor redirect them.
// Single-threaded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/mount_info.h"
#include "base/result.h"
#include "gateway/jail/credentials.h"
#include "gateway/jail/protected_paths.h"

namespace soleroute::gateway::jail {

struct EndFileNames {
  std::string summary;                // replaced; empty: none
  std::string job_summary;            // appended to; empty: none
  std::string policy;                 // must not exist yet; empty: none
  std::vector<std::string> others{};  // what else the run reads or writes: files, and folders of files
};

// kUsage where `file`, which was opened by the path `name`, is one of the `others`, by whatever path. Devices and pipes
// may be shared.
[[nodiscard]] base::Status check_apart(const base::Fd& file, const std::string& name,
                                       std::span<const std::string> others);

class EndFiles {
 public:
  EndFiles() = default;

  // A job summary that cannot be kept from the command is left out, which `skipped()` explains. Errors of the others
  // are kUsage, or kSystem where standard output is such a file.
  [[nodiscard]] static base::Result<EndFiles> open(EndFileNames names, const Identity& command,
                                                   std::span<const base::Mount> mounts);

  // What protect() has to keep from the command.
  [[nodiscard]] std::vector<TrustedPath> paths() const;
  [[nodiscard]] const EndFileNames& names() const { return names_; }
  [[nodiscard]] const std::string& skipped() const { return skipped_; }
  [[nodiscard]] bool has_summary() const { return static_cast<bool>(summary_); }
  [[nodiscard]] bool has_job_summary() const { return static_cast<bool>(job_summary_); }

  [[nodiscard]] base::Status write_summary(std::string_view text) const;
  [[nodiscard]] base::Status write_job_summary(std::string_view text) const;
  [[nodiscard]] base::Status write_policy(std::string_view text) const;
  // Where the command has not run: removes the empty policy file again.
  void forget_policy();

 private:
  EndFileNames names_;
  base::Fd summary_;
  base::Fd job_summary_;
  base::Fd policy_;
  std::string skipped_;
};

}  // namespace soleroute::gateway::jail
