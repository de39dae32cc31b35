// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/control_places.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/fd.h"
#include "gateway/serve/control_socket.h"

namespace soleroute::gateway::serve {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = "soleroute";
constexpr std::string_view kPrefix = "run-";
constexpr std::string_view kSuffix = ".sock";
constexpr mode_t kOnlyMine = 0700;
constexpr mode_t kOthersWrite = 0022;

// A folder of this user, and no link to one.
base::Fd own_folder(const std::string& path, uid_t user) {
  base::Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!folder || ::fstat(folder.get(), &status) != 0 || status.st_uid != user) return base::Fd();
  return folder;
}

// Could another user put something else in the place of what is in there? Sticky ones, as /tmp, let nobody.
bool is_safe_parent(const std::string& path, uid_t user) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  const bool trusted = status.st_uid == 0 || status.st_uid == user;
  return trusted && ((status.st_mode & kOthersWrite) == 0 || (status.st_mode & S_ISVTX) != 0);
}

bool make_folder(const std::string& path, uid_t user) {
  if (!is_safe_parent(fs::path(path).parent_path(), user)) return false;
  if (::mkdir(path.c_str(), kOnlyMine) != 0 && errno != EEXIST) return false;
  const base::Fd folder = own_folder(path, user);
  return folder && ::fchmod(folder.get(), kOnlyMine) == 0;
}

bool is_run_socket(const std::string& name) {
  return name.starts_with(kPrefix) && name.ends_with(kSuffix);
}

}  // namespace

std::vector<std::string> run_control_folders(uid_t user, std::string_view xdg_runtime_dir) {
  std::vector<std::string> folders;
  const auto add = [&folders](std::string folder) {
    if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(std::move(folder));
  };
  if (xdg_runtime_dir.starts_with('/')) add(fmt::format("{}/{}", xdg_runtime_dir, kFolder));
  add(fmt::format("/run/user/{}/{}", user, kFolder));
  if (user == 0) add(fmt::format("/run/{}", kFolder));
  add(fmt::format("/tmp/{}-{}", kFolder, user));
  return folders;
}

std::vector<std::string> existing_run_control_folders(uid_t user, std::string_view xdg_runtime_dir) {
  auto folders = run_control_folders(user, xdg_runtime_dir);
  std::erase_if(folders, [user](const std::string& folder) { return !own_folder(folder, user); });
  return folders;
}

std::string run_control_socket(const std::string& folder, pid_t pid) {
  return fmt::format("{}/{}{}{}", folder, kPrefix, pid, kSuffix);
}

std::optional<std::string> make_run_control_folder(uid_t user, std::string_view xdg_runtime_dir) {
  for (std::string& folder : run_control_folders(user, xdg_runtime_dir)) {
    if (make_folder(folder, user)) return std::move(folder);
  }
  return std::nullopt;
}

std::vector<std::string> answering_run_sockets(uid_t user, std::string_view xdg_runtime_dir) {
  std::vector<std::string> sockets;
  for (const std::string& folder : existing_run_control_folders(user, xdg_runtime_dir)) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (!is_run_socket(entry.path().filename())) continue;
      if (const std::string path = entry.path(); !check_alone(path)) sockets.push_back(path);
    }
  }
  std::ranges::sort(sockets);
  return sockets;
}

}  // namespace soleroute::gateway::serve
