// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/automounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/fd.h"

namespace soleroute::gateway::jail {
namespace {

constexpr const char* kOwnProc = "/proc";
constexpr unsigned long kHarmless = MS_NOSUID | MS_NODEV | MS_NOEXEC;

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const std::size_t comma = std::min(options.find(','), options.size());
    if (options.substr(0, comma) == wanted) return true;
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return false;
}

bool mounts_on_demand(const base::Mount& mount) {
  return mount.type == "autofs" || mount.type == "fuse.afuse" ||
         (mount.type == "afs" && has_option(mount.options, "dyn"));
}

// The uppermost mounts below `point`, in order.
std::vector<std::string> mounted_below(const std::string& point, std::span<const base::Mount> mounts) {
  std::vector<std::string> found;
  for (const base::Mount& mount : mounts) {
    const bool seen = base::mount_of(mount.point, mounts) == &mount;
    if (seen && !mounts_on_demand(mount) && mount.point != point && base::is_in(mount.point, point)) {
      found.push_back(mount.point);
    }
  }
  std::ranges::sort(found);
  std::vector<std::string> uppermost;
  for (std::string& each : found) {
    if (uppermost.empty() || !base::is_in(each, uppermost.back())) uppermost.push_back(std::move(each));
  }
  return uppermost;
}

std::unexpected<base::Error> cannot_stop(const std::string& path) {
  return base::errno_error(fmt::format("cannot turn off automounts of {} in the jail", path));
}

struct Kept {
  std::string point;
  base::Fd tree;
};

base::Result<std::vector<Kept>> keep(const Automount& automount) {
  std::vector<Kept> kept;
  for (const std::string& point : automount.mounted) {
    base::Fd tree(::open_tree(AT_FDCWD, point.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    // Unmounted since, or not for this user to reach.
    if (!tree && (errno == ENOENT || errno == EACCES || errno == EINVAL)) continue;
    if (!tree) return cannot_stop(automount.point);
    kept.push_back({.point = point, .tree = std::move(tree)});
  }
  return kept;
}

base::Status put_back(const Kept& kept) {
  std::error_code failed;
  std::filesystem::create_directories(kept.point, failed);
  if (!failed && ::move_mount(kept.tree.get(), "", AT_FDCWD, kept.point.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0)
    return {};
  return cannot_stop(kept.point);
}

}  // namespace

std::vector<Automount> find_automounts(std::span<const base::Mount> mounts) {
  std::vector<Automount> found;
  for (const base::Mount& mount : mounts) {
    if (!mounts_on_demand(mount) || base::is_in(mount.point, kOwnProc)) continue;
    if (base::mount_of(mount.point, mounts) != &mount) continue;  // mounted over: it is asked for nothing more
    found.push_back({.point = mount.point, .mounted = mounted_below(mount.point, mounts)});
  }
  std::ranges::sort(found, {}, &Automount::point);
  return found;
}

base::Status stop_automount(const Automount& automount) {
  SR_LET(kept, keep(automount));
  const char* point = automount.point.c_str();
  if (::mount("tmpfs", point, "tmpfs", kHarmless, "mode=0755,size=1m") != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) return {};
    return cannot_stop(automount.point);
  }
  for (const Kept& each : *kept) {
    SR_TRY(put_back(each));
  }
  if (::mount(nullptr, point, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kHarmless, nullptr) == 0) return {};
  return cannot_stop(automount.point);
}

}  // namespace soleroute::gateway::jail
