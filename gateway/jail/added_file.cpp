// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/added_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <memory>
#include <string_view>

#include "base/fd.h"

namespace soleroute::gateway::jail {
namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kFileMode = 0444;
constexpr const char* kOptions = "size=1m,nr_inodes=512,mode=0755";

bool is_folder(const std::string& path) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
}

bool show_link(int folder, const char* name, const std::string& to) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlinkat(folder, name, target.data(), target.size() - 1);
  return length > 0 && ::symlink(target.data(), to.c_str()) == 0;
}

// An entry of the covered folder, which `folder` still leads to, at `to`.
bool show_entry(int folder, const char* name, const std::string& to) {
  struct stat facts{};
  if (::fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (S_ISLNK(facts.st_mode)) return show_link(folder, name, to);
  const std::string from = fmt::format("/proc/self/fd/{}/{}", folder, name);
  const bool made =
      S_ISDIR(facts.st_mode)
          ? ::mkdir(to.c_str(), kFolderMode) == 0
          : static_cast<bool>(base::Fd(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode)));
  return made && ::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0;
}

bool show_entries(int folder, const std::string& at) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(::fcntl(folder, F_DUPFD_CLOEXEC, 0)), &::closedir);
  if (!entries) return false;
  std::size_t shown = 0;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (++shown > kMaxCarriedEntries || !show_entry(folder, entry->d_name, fmt::format("{}/{}", at, name)))
      return false;
  }
  return true;
}

bool write_new(const std::string& path, std::string_view text) {
  const base::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
  return file && ::fchmod(file.get(), kFileMode) == 0 &&
         ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// The folders of `name` below `at`, then the file.
bool place(const std::string& at, std::string_view name, std::string_view text) {
  for (std::size_t slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
    const std::string folder = fmt::format("{}/{}", at, name.substr(0, slash));
    if (::mkdir(folder.c_str(), kFolderMode) != 0 || ::chmod(folder.c_str(), kFolderMode) != 0) return false;
  }
  return write_new(fmt::format("{}/{}", at, name), text);
}

}  // namespace

void add_file(const AddedFile& file) {
  std::string at = file.floor;
  std::string_view rest = file.name;
  for (std::size_t slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
    const std::string deeper = fmt::format("{}/{}", at, rest.substr(0, slash));
    if (!is_folder(deeper)) break;
    at = deeper;
    rest.remove_prefix(slash + 1);
  }
  const base::Fd folder(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return;
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("tmpfs", at.c_str(), "tmpfs", kFlags, kOptions) != 0) return;
  if (!show_entries(folder.get(), at) || !place(at, rest, file.text)) ::umount2(at.c_str(), MNT_DETACH);
}

}  // namespace soleroute::gateway::jail
