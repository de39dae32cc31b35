// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/socket_search.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/fd.h"

namespace soleroute::gateway::jail {
namespace {

std::optional<std::string> canonical_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> found(::realpath(path.c_str(), nullptr), &::free);
  if (!found) return std::nullopt;
  return std::string(found.get());
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

void keep_each_once(std::vector<std::string>& paths) {
  std::ranges::sort(paths);
  const auto [first, last] = std::ranges::unique(paths);
  paths.erase(first, last);
}

class Search {
 public:
  Search(std::span<const base::Mount> mounts, std::size_t entries_in_a_folder)
      : mounts_(mounts), entries_in_a_folder_(entries_in_a_folder) {}

  void look_at(const std::string& path) {
    auto canonical = canonical_path_of(path);
    if (canonical && is_live_socket(*canonical)) found_.push_back(std::move(*canonical));
  }

  void search(const SearchedFolder& folder) {
    auto canonical = canonical_path_of(folder.path);
    if (!canonical) return;
    left_in_folder_ = entries_in_a_folder_;
    waiting_.emplace_back(std::move(*canonical), folder.levels);
    // The upper levels first: the bound cuts off what is deepest.
    while (!waiting_.empty() && left_ > 0 && left_in_folder_ > 0) {
      const auto [path, levels] = std::move(waiting_.front());
      waiting_.pop_front();
      int& searched = searched_[path];
      if (searched >= levels) continue;
      searched = levels;
      read(path, levels);
    }
    waiting_.clear();
  }

  std::vector<std::string> take() {
    keep_each_once(found_);
    return std::move(found_);
  }

 private:
  // nullopt: not there, or not to be looked at. Asked before a look, which an automounter would answer with a mount.
  std::optional<std::string> canonical_path_of(const std::string& path) const {
    if (!may_look_at(path)) return std::nullopt;
    auto canonical = canonical_path(path);
    return canonical && may_look_at(*canonical) ? canonical : std::nullopt;
  }

  bool may_look_at(const std::string& path) const {
    const base::Mount* mount = base::mount_of(path, mounts_);
    return mount == nullptr || may_hold_sockets(*mount);
  }

  void read(const std::string& path, int levels) {
    base::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const std::unique_ptr<DIR, CloseFolder> folder(fd ? ::fdopendir(fd.get()) : nullptr);
    if (!folder) return;
    static_cast<void>(fd.release());
    while (left_ > 0 && left_in_folder_ > 0) {
      const dirent* entry = ::readdir(folder.get());
      if (entry == nullptr) return;
      --left_;
      --left_in_folder_;
      examine(path, *entry, levels);
    }
  }

  void examine(const std::string& folder, const dirent& entry, int levels) {
    const std::string_view name = entry.d_name;
    if (name == "." || name == "..") return;
    std::string path = fmt::format("{}/{}", folder == "/" ? "" : folder, name);
    if (entry.d_type == DT_SOCK || entry.d_type == DT_UNKNOWN) {
      if (is_live_socket(path)) found_.push_back(path);
    }
    const bool may_be_folder = entry.d_type == DT_DIR || entry.d_type == DT_UNKNOWN;
    if (levels > 1 && may_be_folder && may_look_at(path)) waiting_.emplace_back(std::move(path), levels - 1);
  }

  std::span<const base::Mount> mounts_;
  std::size_t entries_in_a_folder_;
  std::size_t left_ = kMaxSearched;
  std::size_t left_in_folder_ = 0;
  std::deque<std::pair<std::string, int>> waiting_;
  std::map<std::string, int> searched_;  // folders and the levels that were searched from there
  std::vector<std::string> found_;
};

}  // namespace

bool is_live_socket(const std::string& path) {
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) != 0 || !S_ISSOCK(facts.st_mode)) return false;
  const base::Fd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  // A datagram socket sends its peer nothing by connecting. A peer of another type is EPROTOTYPE, and one that nobody
  // has bound ECONNREFUSED: unix(7). By way of the descriptor, because such an address holds only 107 bytes.
  const base::Fd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!file || !probe) return true;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  fmt::format_to_n(address.sun_path, sizeof address.sun_path - 1, "/proc/self/fd/{}", file.get());
  const int result = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 || errno != ECONNREFUSED;
}

std::vector<std::string> find_live_sockets(const SocketPlaces& places, std::span<const base::Mount> mounts) {
  Search search(mounts, places.entries_in_a_folder);
  for (const std::string& path : places.paths) search.look_at(path);
  for (const SearchedFolder& folder : places.folders) search.search(folder);
  return search.take();
}

std::vector<std::string> with_other_paths(const std::vector<std::string>& sockets,
                                          std::span<const base::Mount> mounts) {
  std::vector<std::string> all = sockets;
  for (const std::string& path : sockets) {
    struct stat own{};
    const auto canonical = canonical_path(path);
    if (!canonical || ::stat(canonical->c_str(), &own) != 0) continue;
    for (const std::string& other : base::paths_of_same_file(*canonical, mounts)) {
      struct stat facts{};
      const bool same = ::lstat(other.c_str(), &facts) == 0 && facts.st_dev == own.st_dev && facts.st_ino == own.st_ino;
      if (same) all.push_back(other);
    }
  }
  keep_each_once(all);
  return all;
}

}  // namespace soleroute::gateway::jail
