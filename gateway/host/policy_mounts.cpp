// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_mounts.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::string_view kDeleted = "//deleted";  // the kernel's mark behind the root of a mount (seq_dentry())
constexpr std::string_view kAdvice = "Mount its folder instead of the file, and restart";

std::chrono::system_clock::time_point time_of(const timespec& time) {
  using std::chrono::system_clock;
  return system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

}  // namespace

std::optional<MountFault> mount_fault(const std::string& path, std::span<const base::Mount> mounts, bool linked,
                                      bool changed) {
  using Kind = MountFault::Kind;
  const base::Mount* mount = base::mount_of(path, mounts);
  if (mount == nullptr) return std::nullopt;
  const bool alone = mount->point == path;
  const bool replaced = mount->root.ends_with(kDeleted) || (alone && !linked);
  const std::string name = base::shown(path);
  if (replaced && alone) {
    return MountFault{Kind::kReplaced,
                      fmt::format("{} is mounted as a single file, and that file was replaced or removed outside: this "
                                  "is still the old one. {}",
                                  name, kAdvice)};
  }
  if (replaced) {
    return MountFault{Kind::kReplaced, fmt::format("{} is in a mounted folder that was replaced or removed outside: "
                                                   "this is still the old one. Restart, so that the new one is mounted",
                                                   name)};
  }
  if (!alone || changed) return std::nullopt;
  return MountFault{Kind::kUnchanged,
                    fmt::format("{} is mounted as a single file and has not changed: a new file that is renamed to its "
                                "place outside is not seen here. {}",
                                name, kAdvice)};
}

std::optional<MountFault> mount_fault(std::span<const std::string> paths,
                                      std::chrono::system_clock::time_point read_before) {
  const auto text = base::read_mount_info();
  if (!text) return std::nullopt;
  const auto mounts = base::parse_mount_info(*text);
  std::optional<MountFault> worst;
  for (const std::string& path : paths) {
    struct stat status{};
    std::error_code error;
    const std::string real = std::filesystem::canonical(path, error).string();
    if (error || ::stat(real.c_str(), &status) != 0) continue;
    auto fault = mount_fault(real, mounts, status.st_nlink > 0, time_of(status.st_ctim) >= read_before);
    if (fault && fault->kind == MountFault::Kind::kReplaced) return fault;
    if (fault && !worst) worst = std::move(fault);
  }
  return worst;
}

std::vector<std::string> with_mount_warning(std::vector<std::string> warnings, std::span<const std::string> paths) {
  auto fault = mount_fault(paths, std::chrono::system_clock::time_point::min());
  if (fault && fault->kind == MountFault::Kind::kReplaced) warnings.push_back(std::move(fault->message));
  return warnings;
}

}  // namespace soleroute::gateway::host
