// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

#include "base/fd.h"
#include "base/mount_info.h"
#include "base/text.h"

namespace soleroute::gateway::jail {
namespace {

// Where a small tmpfs stands while the files that others are covered with are made; a fresh /proc follows.
constexpr const char* kProc = "/proc";
constexpr const char* kStage = kProc;
constexpr const char* kStageOptions = "size=16m,nr_inodes=64,mode=0755";
// What a socket becomes: everybody may write to it, and it is no socket, so connect(2) says ECONNREFUSED.
constexpr const char* kNobody = "/dev/null";

// Not there, or not to be reached by this user: then the command, who has less, cannot reach it either.
bool out_of_reach(int err) {
  return err == ENOENT || err == ENOTDIR || err == EACCES || err == ELOOP;
}

base::Status bind_over(const std::string& from, const std::string& to) {
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0 || out_of_reach(errno)) return {};
  return base::errno_error(fmt::format("cannot cover {} in the jail", to));
}

base::Status write_file(const std::string& path, std::string_view text) {
  const base::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file) return base::errno_error("cannot create a file in the jail");
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::errno_error("cannot write a file in the jail");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  // The mode must not depend on the umask.
  if (::fchmod(file.get(), 0444) != 0) return base::errno_error("cannot make a file in the jail readable");
  return {};
}

base::Status cover_files(const MountPlan& plan) {
  for (const std::string& path : plan.masked_sockets) {
    SR_TRY(bind_over(kNobody, path));
  }
  for (std::size_t i = 0; i < plan.files.size(); ++i) {
    const std::string staged = fmt::format("{}/file{}", kStage, i);
    SR_TRY(write_file(staged, plan.files[i].text));
    SR_TRY(bind_over(staged, plan.files[i].path));
  }
  return {};
}

base::Status empty_directory(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    if (out_of_reach(errno)) return {};
    return base::errno_error(fmt::format("cannot examine {}", path));
  }
  const std::string options = fmt::format("mode=0{:o},size=10%", status.st_mode & 07777U);
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    if (out_of_reach(errno)) return {};
    return base::errno_error(fmt::format("cannot cover {} with an empty folder in the jail", path));
  }
  // A user namespace that maps one user can give it to that one only, who has it already.
  if (::chown(path.c_str(), status.st_uid, status.st_gid) != 0 && errno != EINVAL && errno != EPERM) {
    return base::errno_error(fmt::format("cannot change the owner of {} in the jail", path));
  }
  return {};
}

base::Status place_alone(const LoneFile& file) {
  const char* directory = file.directory.c_str();
  if (::mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, kStageOptions) != 0) {
    if (out_of_reach(errno)) return {};
    return base::errno_error(fmt::format("cannot cover {} in the jail", file.directory));
  }
  return write_file(fmt::format("{}/{}", file.directory, file.name), file.text);
}

// The mount at `path`, in place.
base::Status remount_read_only(const char* path) {
  struct statvfs flags{};
  if (::statvfs(path, &flags) != 0) return base::errno_error(fmt::format("cannot examine {}", path));
  unsigned long kept = MS_BIND | MS_REMOUNT | MS_RDONLY;
  if ((flags.f_flag & ST_NOSUID) != 0) kept |= MS_NOSUID;
  if ((flags.f_flag & ST_NODEV) != 0) kept |= MS_NODEV;
  if ((flags.f_flag & ST_NOEXEC) != 0) kept |= MS_NOEXEC;
  if (::mount(nullptr, path, nullptr, kept, nullptr) != 0) {
    return base::errno_error(fmt::format("cannot protect {} in the jail", path));
  }
  return {};
}

base::Status make_read_only(const char* path) {
  if (::mount(path, path, nullptr, MS_BIND, nullptr) != 0) {
    return base::errno_error(fmt::format("cannot protect {} in the jail", path));
  }
  return remount_read_only(path);
}

base::Status make_read_only_if_there(const char* path) {
  if (::access(path, F_OK) != 0 && out_of_reach(errno)) return {};
  return make_read_only(path);
}

// Nothing that is a mount point in one's own mount namespace can be renamed, removed or replaced.
base::Status pin(const std::string& folder) {
  if (::mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0) return {};
  return base::errno_error(fmt::format("cannot protect {} in the jail", folder));
}

// Before anything is hidden, so that what is hidden below a pinned folder is hidden in the mount that is seen.
base::Status protect_paths(const MountPlan& plan) {
  for (const std::string& folder : plan.pinned_folders) {
    SR_TRY(pin(folder));
  }
  for (const std::string& file : plan.read_only_files) {
    SR_TRY(make_read_only(file.c_str()));
  }
  return {};
}

base::Status cover_all(const MountPlan& plan) {
  SR_TRY(protect_paths(plan));
  if (::mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, kStageOptions) != 0) {
    return base::errno_error("cannot mount a tmpfs in the jail");
  }
  SR_TRY(cover_files(plan));
  if (::umount2(kStage, MNT_DETACH) != 0) return base::errno_error("cannot unmount the jail's staging directory");
  for (const std::string& path : plan.empty_directories) {
    SR_TRY(empty_directory(path));
  }
  for (const LoneFile& file : plan.lone_files) {
    SR_TRY(place_alone(file));
  }
  for (const AddedFile& file : plan.added_files) {
    add_file(file);
  }
  for (const Automount& automount : plan.automounts) {
    SR_TRY(stop_automount(automount));
  }
  return {};
}

// A chroot's /proc or a cgroup hierarchy of its own: the same files as below /proc and /sys.
base::Status guard_elsewhere() {
  constexpr std::array<std::string_view, 13> kKernels{"binfmt_misc", "bpf",      "cgroup",  "cgroup2", "configfs",
                                                      "debugfs",     "efivarfs", "fusectl", "proc",    "pstore",
                                                      "securityfs",  "sysfs",    "tracefs"};
  SR_LET(mountinfo, base::read_mount_info());
  for (const base::Mount& mount : base::parse_mount_info(*mountinfo)) {
    if (std::ranges::find(kKernels, mount.type) == kKernels.end()) continue;
    if (base::is_in(mount.point, kProc) || base::is_in(mount.point, "/sys")) continue;
    // A later mount may hide this one, and then the path leads elsewhere.
    if (::access(mount.point.c_str(), F_OK) != 0) continue;
    if (auto made = remount_read_only(mount.point.c_str()); !made && made.error().sys_errno != EINVAL) return made;
  }
  return {};
}

bool covers(const MountPlan& plan, const std::string& folder) {
  const auto holds = [&folder](const std::string& covered) { return base::is_in(folder, covered); };
  return std::ranges::any_of(plan.pinned_folders, holds) || std::ranges::any_of(plan.empty_directories, holds) ||
         std::ranges::any_of(plan.lone_files, holds, &LoneFile::directory) ||
         std::ranges::any_of(plan.added_files, holds, &AddedFile::floor) ||
         std::ranges::any_of(plan.automounts, holds, &Automount::point);
}

std::string working_directory() {
  std::array<char, PATH_MAX> path{};
  return ::getcwd(path.data(), path.size()) == nullptr ? std::string() : std::string(path.data());
}

}  // namespace

base::Status leave_host_mounts() {
  // Whatever is mounted from here on stays in here; what the host mounts later does not appear.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return base::errno_error("cannot make the jail's mounts private");
  }
  return {};
}

base::Status mount_fresh_proc() {
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return base::errno_error("cannot mount a fresh /proc");
  }
  return {};
}

base::Status cover_host_paths(const MountPlan& plan) {
  const std::string here = working_directory();
  SR_TRY(cover_all(plan));
  if (here.empty() || !covers(plan, here) || ::chdir(here.c_str()) == 0) return {};
  return base::errno_error(fmt::format("cannot enter {} in the jail; start gateway in another folder", here));
}
base::Status hide_other_procfs() {
  SR_LET(mountinfo, base::read_mount_info());
  for (const base::Mount& mount : base::parse_mount_info(*mountinfo)) {
    if (mount.type != "proc" || base::is_in(mount.point, kProc)) continue;
    if (::mount("tmpfs", mount.point.c_str(), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") == 0 ||
        out_of_reach(errno)) {
      continue;
    }
    return base::errno_error(fmt::format("cannot hide {} in the jail", mount.point));
  }
  return {};
}

base::Status guard_kernel_files() {
  SR_TRY(guard_elsewhere());
  for (const char* path : {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"}) {
    SR_TRY(make_read_only_if_there(path));
  }
  mount_attr attributes{.attr_set = MOUNT_ATTR_RDONLY, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
  if (::mount_setattr(AT_FDCWD, "/sys", AT_RECURSIVE, &attributes, sizeof attributes) == 0) return {};
  // Linux before 5.12: /sys alone, which hides what is mounted below it. Not a mount at all: nothing to guard.
  return errno == EINVAL || errno == ENOENT ? base::Status{} : make_read_only_if_there("/sys");
}

std::string resolv_conf_with(std::string_view text, std::string_view nameserver) {
  std::string out = fmt::format("nameserver {}\n", nameserver);
  for (const auto line : base::lines_of(text)) {
    if (line.starts_with("search") || line.starts_with("domain") || line.starts_with("options")) {
      out += line;
      out += '\n';
    }
  }
  return out;
}

}  // namespace soleroute::gateway::jail
