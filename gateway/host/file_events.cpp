// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/file_events.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "gateway/host/path_trail.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::uint32_t kEvents = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kEndsWriting = IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF;
constexpr int kMaxReads = 16;

// A file that was just made by a program which will write it; not a link to a file that is complete.
bool is_new_file(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}

}  // namespace

base::Result<FileEvents> FileEvents::open() {
  base::Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return base::system_error("inotify is not available: " + std::generic_category().message(errno));
  return FileEvents(std::move(fd));
}

std::optional<int> FileEvents::add(const std::string& path, std::uint32_t more) {
  const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), kEvents | more);
  return watch < 0 ? std::nullopt : std::optional(watch);
}

void FileEvents::watch(std::span<const std::string> paths) {
  std::set<int> watches;
  std::map<Place, File> files;
  for (const std::string& path : paths) {
    const PathTrail trail = path_trail(path);
    const File file{path, trail.folder + '/' + trail.name};
    for (const std::string& folder : trail.folders) {
      const auto watch = add(folder, IN_ONLYDIR);
      if (!watch) continue;
      watches.insert(*watch);
      if (folder == trail.folder) files[{*watch, trail.name}] = file;
    }
    // A file that is mounted alone is written and replaced in a folder that is not here.
    if (const auto watch = add(path, 0)) {
      watches.insert(*watch);
      files[{*watch, ""}] = file;
    }
  }
  files_ = std::move(files);
  for (const int old : watches_) {
    if (!watches.contains(old)) ::inotify_rm_watch(fd_.get(), old);
  }
  watches_ = std::move(watches);
  std::erase_if(written_, [this](const Place& place) { return !files_.contains(place); });
}

void FileEvents::forget(int watch) {
  watches_.erase(watch);
  std::erase_if(written_, [watch](const Place& place) { return place.first == watch; });
}

void FileEvents::hear() {
  alignas(inotify_event) std::array<char, 16384> buffer{};
  for (int reads = 0; reads < kMaxReads; ++reads) {
    const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
    if (count <= 0) return;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(count);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      take(event, event.len == 0 ? std::string() : std::string(name, ::strnlen(name, event.len)));
      at += sizeof event + event.len;
    }
  }
}

void FileEvents::take(const inotify_event& event, const std::string& name) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) return written_.clear();
  if ((event.mask & IN_IGNORED) != 0) return forget(event.wd);
  const Place place{event.wd, name};
  const auto file = files_.find(place);
  if (file == files_.end()) return;
  if ((event.mask & kEndsWriting) != 0) written_.erase(place);
  if ((event.mask & IN_MODIFY) != 0) written_.insert(place);
  if ((event.mask & IN_CREATE) != 0 && is_new_file(file->second.real)) written_.insert(place);
}

std::optional<std::string> FileEvents::being_written() const {
  if (written_.empty()) return std::nullopt;
  return files_.at(*written_.begin()).path;
}

}  // namespace soleroute::gateway::host
