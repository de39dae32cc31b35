// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/end_files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "gateway/jail/judged_file.h"

namespace soleroute::gateway::jail {
namespace {

base::Result<Protection> judge(const std::string& path, const Identity& command, std::span<const base::Mount> mounts) {
  const std::array<TrustedPath, 1> one{{{.path = path, .kind = TrustedKind::kLog}}};
  return protect(one, command, mounts);
}

base::Result<base::Fd> open_one(const std::string& path, const Identity& command, std::span<const base::Mount> mounts) {
  if (path.empty()) return base::Fd();
  SR_LET(judged, judge(path, command, mounts));
  return open_judged_log(path, judged->judged, command);
}

base::Result<base::Fd> open_job_summary(const std::string& path, const std::vector<std::string>& others,
                                        const Identity& command, std::span<const base::Mount> mounts) {
  if (path.empty()) return base::Fd();
  SR_LET(judged, judge(path, command, mounts));
  SR_LET(file, open_judged_file(path, judged->judged, command));
  SR_TRY(check_apart(*file, path, others));
  return std::move(*file);
}

base::Result<base::Fd> open_new(const std::string& path, const Identity& command, std::span<const base::Mount> mounts) {
  struct stat there{};
  if (!path.empty() && ::lstat(path.c_str(), &there) == 0) {
    return base::usage_error(
        fmt::format("{} exists and would be overwritten: choose another name for --save", base::shown(path)));
  }
  return open_one(path, command, mounts);
}

base::Status write_to(const base::Fd& file, std::string_view text, const std::string& path) {
  if (base::write_all(file.get(), text)) return {};
  return base::errno_error(fmt::format("cannot write {}", base::shown(path)));
}

bool leads_to(const std::string& path, const struct stat& file) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0 && facts.st_dev == file.st_dev && facts.st_ino == file.st_ino;
}

bool has(const std::string& folder, const struct stat& file) {
  constexpr int kMostEntries = 4096;
  std::error_code failed;
  int seen = 0;
  for (std::filesystem::recursive_directory_iterator entry(folder, failed), end;
       !failed && entry != end && seen < kMostEntries; entry.increment(failed), ++seen) {
    if (leads_to(entry->path().string(), file)) return true;
  }
  return false;
}

}  // namespace

base::Status check_apart(const base::Fd& file, const std::string& name, std::span<const std::string> others) {
  struct stat facts{};
  if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return {};
  for (const std::string& other : others) {
    if (other.empty() || (!leads_to(other, facts) && !has(other, facts))) continue;
    const std::string as = other == name ? std::string{} : fmt::format(" as {}", base::shown(other));
    return base::usage_error(fmt::format("{} is already in use{}: choose another file", base::shown(name), as));
  }
  return {};
}

base::Result<EndFiles> EndFiles::open(EndFileNames names, const Identity& command,
                                      std::span<const base::Mount> mounts) {
  EndFiles files;
  SR_LET(summary, open_one(names.summary, command, mounts));
  files.summary_ = std::move(*summary);
  SR_TRY(check_apart(files.summary_, names.summary, names.others));
  SR_TRY(check_apart(files.summary_, names.summary, std::array{names.job_summary, names.policy}));
  // A summary of an earlier run must not be taken for this one's. Pipes and devices have no length.
  if (files.summary_ && ::ftruncate(files.summary_.get(), 0) != 0 && errno != EINVAL) {
    return base::errno_error(fmt::format("cannot write {}", base::shown(names.summary)));
  }
  SR_LET(policy, open_new(names.policy, command, mounts));
  files.policy_ = std::move(*policy);
  if (auto job = open_job_summary(names.job_summary, names.others, command, mounts)) {
    files.job_summary_ = std::move(*job);
  } else {
    files.skipped_ = fmt::format("no job summary: {}", job.error().message);
    names.job_summary.clear();
  }
  files.names_ = std::move(names);
  return files;
}

std::vector<TrustedPath> EndFiles::paths() const {
  std::vector<TrustedPath> out;
  for (const std::string& path : {names_.summary, names_.job_summary, names_.policy}) {
    if (!path.empty()) out.push_back({.path = path, .kind = TrustedKind::kLog});
  }
  return out;
}

base::Status EndFiles::write_summary(std::string_view text) const {
  return write_to(summary_, text, names_.summary);
}

base::Status EndFiles::write_job_summary(std::string_view text) const {
  return write_to(job_summary_, text, names_.job_summary);
}

base::Status EndFiles::write_policy(std::string_view text) const {
  return write_to(policy_, text, names_.policy);
}

void EndFiles::forget_policy() {
  struct stat facts{};
  const bool empty = policy_ && ::fstat(policy_.get(), &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size == 0;
  if (empty) ::unlink(names_.policy.c_str());
  policy_.reset();
}

}  // namespace soleroute::gateway::jail
