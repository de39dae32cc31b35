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
#include <cstddef>
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

// How many more may be looked at.
struct Left {
  std::size_t here = 0;
  std::size_t in_all = 0;

  bool take() {
    if (here == 0 || in_all == 0) return false;
    --here;
    --in_all;
    return true;
  }
};

class Search {
 public:
  Search(const SocketPlaces& places, std::span<const base::Mount> mounts)
      : uid_(places.uid), bounds_(places.bounds), mounts_(mounts) {}

  void look_at(const std::string& path) {
    auto canonical = canonical_path_of(path);
    if (canonical && is_live_socket(*canonical)) found_.live.push_back(std::move(*canonical));
  }

  void search(const SearchedFolder& folder) {
    auto canonical = canonical_path_of(folder.path);
    if (!canonical) return;
    others_.here = bounds_.others;
    own_.here = bounds_.own;
    cut_ = false;
    read(*canonical, folder.levels);
    // What the command's user cannot have made comes first; of each, the upper levels.
    while (!others_folders_.empty() || !own_folders_.empty()) {
      auto& folders = others_folders_.empty() ? own_folders_ : others_folders_;
      const auto [path, levels] = std::move(folders.front());
      folders.pop_front();
      read(path, levels);
    }
    if (cut_) found_.cut.push_back(std::move(*canonical));
  }

  FoundSockets take() {
    for (auto* list : {&found_.live, &found_.closed, &found_.cut}) keep_each_once(*list);
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
    const auto searched = searched_.find(path);
    if (searched != searched_.end() && searched->second >= levels) return;
    base::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // "." needs the right to enter, as a look at each entry does.
    if (fd ? ::faccessat(fd.get(), ".", F_OK, 0) != 0 : errno == EACCES) note_closed(path);
    const std::unique_ptr<DIR, CloseFolder> folder(fd ? ::fdopendir(fd.get()) : nullptr);
    if (!folder) return;
    static_cast<void>(fd.release());
    while (const dirent* entry = ::readdir(folder.get())) {
      examine(path, ::dirfd(folder.get()), *entry, levels);
    }
    if (!cut_) searched_[path] = levels;
  }

  void note_closed(const std::string& path) {
    struct stat facts{};
    if (::lstat(path.c_str(), &facts) == 0 && facts.st_uid == uid_) found_.closed.push_back(path);
  }

  void examine(const std::string& folder, int fd, const dirent& entry, int levels) {
    const std::string_view name = entry.d_name;
    if (name == "." || name == "..") return;
    const bool may_be_folder = levels > 1 && (entry.d_type == DT_DIR || entry.d_type == DT_UNKNOWN);
    if (!may_be_folder && entry.d_type != DT_SOCK && entry.d_type != DT_UNKNOWN) return;
    std::string path = fmt::format("{}/{}", folder == "/" ? "" : folder, name);
    struct stat facts{};
    if (!may_look_at(path) || ::fstatat(fd, entry.d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) return;
    const bool socket = S_ISSOCK(facts.st_mode);
    if (!socket && (!may_be_folder || !S_ISDIR(facts.st_mode))) return;
    const bool own = facts.st_uid == uid_;
    if (!(own ? own_ : others_).take()) {
      cut_ = true;
    } else if (!socket) {
      (own ? own_folders_ : others_folders_).emplace_back(std::move(path), levels - 1);
    } else if (is_live_socket(path)) {
      found_.live.push_back(std::move(path));
    }
  }

  uid_t uid_;
  SearchBounds bounds_;
  std::span<const base::Mount> mounts_;
  Left others_{.here = 0, .in_all = kMaxOthersSearched};
  Left own_{.here = 0, .in_all = kMaxOwnSearched};
  bool cut_ = false;  // in the place that is searched now
  std::deque<std::pair<std::string, int>> others_folders_;
  std::deque<std::pair<std::string, int>> own_folders_;
  std::map<std::string, int> searched_;  // folders and the levels that were searched from there
  FoundSockets found_;
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

FoundSockets find_live_sockets(const SocketPlaces& places, std::span<const base::Mount> mounts) {
  Search search(places, mounts);
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
