// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/protected_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/text.h"
#include "gateway/jail/path_walk.h"
#include "gateway/jail/rights_of.h"

namespace soleroute::gateway::jail {
namespace {

constexpr std::array<std::string_view, 3> kStandardNames{"standard input", "standard output", "standard error"};

bool same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

bool is_procfs(const std::string& folder) {
  struct statfs system{};
  return ::statfs(folder.c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

class Protector {
 public:
  Protector(const Identity& command, std::span<const base::Mount> mounts) : command_(command), mounts_(mounts) {}

  // `here` is the working directory. The way to what was found in it begins there, as the next run's will.
  base::Status add(const TrustedPath& trusted, const std::string& here) {
    const bool relative = !trusted.path.starts_with('/');
    if (relative && here.empty()) return {};
    const std::string full = relative && trusted.named ? fmt::format("{}/{}", here, trusted.path) : trusted.path;
    SR_LET(steps, walk_path(full, here));
    for (const Step& step : *steps) {
      SR_TRY(pass(step, trusted));
    }
    note(trusted, *steps);
    if (steps->empty() || steps->back().kind == StepKind::kAbsent) return {};
    return arrive(steps->back(), trusted);
  }

  Protection take() {
    for (auto* list : {&out_.pinned_folders, &out_.read_only_files, &out_.masked, &out_.hidden_folders}) {
      std::ranges::sort(*list);
      const auto [first, last] = std::ranges::unique(*list);
      list->erase(first, last);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool is_root() const { return command_.uid == 0; }

  // The owner may give itself the right.
  [[nodiscard]] bool may_write(const std::string& path, const struct stat& facts) const {
    return is_root() || facts.st_uid == command_.uid || RightsOf(command_).may_write(path);
  }

  // Whether no mount that shows this folder lets anybody change it, its owner and root included. A read-only mount may
  // show a folder that another mount lets change.
  [[nodiscard]] bool is_read_only(const std::string& folder, const struct stat& facts) const {
    return std::ranges::all_of(base::paths_of_same_file(folder, mounts_), [&](const std::string& path) {
      struct statvfs system{};
      return !same_file(link_facts(path), facts) ||
             (::statvfs(path.c_str(), &system) == 0 && (system.f_flag & ST_RDONLY) != 0);
    });
  }

  // Whether the command may put something else in the place of this entry: rename(2), unlink(2).
  [[nodiscard]] bool may_replace(const Step& step) const {
    struct stat folder{};
    if (::stat(step.folder.c_str(), &folder) != 0) return true;
    if (is_procfs(step.folder) || is_read_only(step.folder, folder)) return false;
    if (!may_write(step.folder, folder)) return false;
    if (is_root() || (folder.st_mode & S_ISVTX) == 0 || folder.st_uid == command_.uid) return true;
    return step.kind == StepKind::kAbsent || step.facts.st_uid == command_.uid;
  }

  [[nodiscard]] bool is_mount_point(const std::string& path) const {
    return std::ranges::find(mounts_, path, &base::Mount::point) != mounts_.end();
  }

  // What a name in a procfs leads to is up to the process that it belongs to.
  void note(const TrustedPath& trusted, const std::vector<Step>& steps) {
    if (steps.empty()) return;
    const Step& last = steps.back();
    out_.judged.push_back({.named = trusted.path,
                           .path = last.path,
                           .there = last.kind != StepKind::kAbsent,
                           .device = last.facts.st_dev,
                           .inode = last.facts.st_ino,
                           .within_reach = std::ranges::any_of(steps, [this](const Step& step) {
                             return is_procfs(step.folder) || may_replace(step);
                           })});
  }

  base::Status pass(const Step& step, const TrustedPath& trusted) {
    if (step.kind == StepKind::kLink && !is_root() && may_replace(step)) {
      return base::usage_error(
          fmt::format("{}: the command could replace the symbolic link {}; use the path of the file itself",
                      base::shown(trusted.path), base::shown(step.path)));
    }
    if (step.kind == StepKind::kFolder && !is_mount_point(step.path) && may_replace(step)) {
      out_.pinned_folders.push_back(step.path);
    }
    return {};
  }

  base::Status arrive(const Step& step, const TrustedPath& trusted) {
    if (trusted.kind == TrustedKind::kFolder) {
      add_every_path(step, out_.hidden_folders);
      return {};
    }
    if (trusted.kind == TrustedKind::kSecret) {
      add_every_path(step, out_.masked);
      return {};
    }
    if (S_ISFIFO(step.facts.st_mode)) return arrive_at_pipe(step, trusted);
    if (!S_ISREG(step.facts.st_mode)) return {};
    const bool written = trusted.kind == TrustedKind::kLog;
    const bool writable = may_write(step.path, step.facts);
    if (step.facts.st_nlink > 1 && !is_root() && (writable || written)) {
      return base::usage_error(
          fmt::format("{}: has {} hard links, and the command could change it through another one; use a copy",
                      base::shown(trusted.path), step.facts.st_nlink));
    }
    if (writable || written) {
      SR_TRY(check_apart(step, trusted));
    }
    if (writable || may_replace(step)) add_every_path(step, out_.read_only_files);
    return {};
  }

  base::Status arrive_at_pipe(const Step& step, const TrustedPath& trusted) {
    SR_TRY(check_apart(step, trusted));
    if (may_write(step.path, step.facts) && !S_ISLNK(link_facts(step.path).st_mode)) {
      add_every_path(step, out_.masked);
    }
    return {};
  }

  static struct stat link_facts(const std::string& path) {
    struct stat facts{};
    static_cast<void>(::lstat(path.c_str(), &facts));
    return facts;
  }

  // A descriptor is a way to the file that no mount covers: /proc/self/fd/0 can be opened again for writing.
  static base::Status check_apart(const Step& step, const TrustedPath& trusted) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
      struct stat facts{};
      if (::fstat(fd, &facts) != 0 || !same_file(facts, step.facts)) continue;
      return base::system_error(fmt::format("{} is {}, which the command could change: pass it through a pipe{}",
                                            kStandardNames[static_cast<std::size_t>(fd)], base::shown(trusted.path),
                                            fd == STDIN_FILENO
                                                ? " (cat … | gateway run …)"
                                                : " (gateway run … | cat), or write the decisions elsewhere"));
    }
    return {};
  }

  void add_every_path(const Step& step, std::vector<std::string>& to) const {
    for (std::string& path : base::paths_of_same_file(step.path, mounts_)) {
      if (same_file(link_facts(path), step.facts)) to.push_back(std::move(path));
    }
  }

  const Identity& command_;
  std::span<const base::Mount> mounts_;
  Protection out_;
};

}  // namespace

base::Result<Protection> protect(std::span<const TrustedPath> paths, const Identity& command,
                                 std::span<const base::Mount> mounts) {
  std::error_code failed;
  const std::string here = std::filesystem::current_path(failed).string();
  Protector protector(command, mounts);
  for (const TrustedPath& path : paths) {
    if (path.path.empty()) continue;
    SR_TRY(protector.add(path, here));
  }
  return protector.take();
}

}  // namespace soleroute::gateway::jail
