// The kernel's events about some files and their folders (inotify), and which of the files are being written.
// Used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

struct inotify_event;  // NOLINT(readability-identifier-naming): the kernel's

namespace soleroute::gateway::host {

class FileEvents {
 public:
  [[nodiscard]] static base::Result<FileEvents> open();

  // Follows the paths as they lead now. What cannot be watched is left out: somebody looks anyway.
  void watch(std::span<const std::string> paths);
  // Takes what has arrived, at most so much that it ends.
  void hear();
  // One that was written and is still open for writing.
  [[nodiscard]] std::optional<std::string> being_written() const;
  [[nodiscard]] int socket() const { return fd_.get(); }

 private:
  using Place = std::pair<int, std::string>;  // a watch, and the name in its folder; "" for a file's own watch
  explicit FileEvents(base::Fd fd) : fd_(std::move(fd)) {}
  std::optional<int> add(const std::string& path, std::uint32_t more);
  void take(const inotify_event& event, const std::string& name);
  void forget(int watch);

  base::Fd fd_;
  std::set<int> watches_;
  struct File {
    std::string path;  // as it was given
    std::string real;  // without links
  };
  std::map<Place, File> files_;
  std::set<Place> written_;  // of files_
};

}  // namespace soleroute::gateway::host
