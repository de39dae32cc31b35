// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/path_trail.h"

#include <deque>
#include <filesystem>
#include <system_error>
#include <utility>

namespace soleroute::gateway::host {
namespace {

namespace fs = std::filesystem;
constexpr int kMaxLinks = 40;

}  // namespace

PathTrail path_trail(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) return {};
  PathTrail trail;
  std::deque<fs::path> left(absolute.begin(), absolute.end());
  fs::path at = "/";
  for (int links = 0; !left.empty();) {
    const fs::path part = std::move(left.front());
    left.pop_front();
    if (part.empty() || part == "/" || part == ".") continue;
    if (part == "..") {
      at = at.parent_path();
      continue;
    }
    const fs::path target = fs::read_symlink(at / part, error);
    if (!error) {
      if (++links > kMaxLinks) return trail;
      trail.folders.insert(at.string());
      if (target.is_absolute()) at = "/";
      left.insert(left.begin(), target.begin(), target.end());
      continue;
    }
    if (left.empty()) {
      trail.folders.insert(at.string());
      trail.folder = at.string();
      trail.name = part.string();
    }
    at /= part;
  }
  return trail;
}

}  // namespace soleroute::gateway::host
