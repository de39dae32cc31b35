// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/path_walk.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

namespace soleroute::gateway::jail {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel: path_resolution(7)

std::string parent_of(const std::string& folder) {
  const std::size_t slash = folder.rfind('/');
  return slash == 0 ? "/" : folder.substr(0, slash);
}

bool is_procfs(const std::string& folder) {
  struct statfs system{};
  return ::statfs(folder.c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

base::Result<std::string> link_target(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t count = ::readlink(path.c_str(), target.data(), target.size());
  if (count < 0) return base::errno_error(fmt::format("cannot follow {}", path));
  return std::string(target.data(), static_cast<std::size_t>(count));
}

class Walker {
 public:
  Walker(const std::string& path, std::string start) : left_(path), folder_(std::move(start)) {
    if (left_.starts_with('/')) folder_ = "/";
  }

  base::Result<std::vector<Step>> walk() {
    while (!left_.empty()) {
      const std::size_t slash = left_.find('/');
      const std::string name = left_.substr(0, slash);
      left_.erase(0, slash == std::string::npos ? slash : slash + 1);
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        folder_ = parent_of(folder_);
        continue;
      }
      SR_LET(ended, take(name));
      if (*ended) break;
    }
    return std::move(steps_);
  }

 private:
  // True at the end of the way.
  base::Result<bool> take(const std::string& name) {
    Step step{.folder = folder_, .path = fmt::format("{}/{}", folder_ == "/" ? "" : folder_, name), .facts = {}};
    if (::lstat(step.path.c_str(), &step.facts) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) return cannot_be_followed(step.path, errno);
      steps_.push_back(std::move(step));
      return true;
    }
    const bool link = S_ISLNK(step.facts.st_mode);
    const bool folder = S_ISDIR(step.facts.st_mode);
    step.kind = link ? StepKind::kLink : folder ? StepKind::kFolder : StepKind::kOther;
    if (folder) folder_ = step.path;
    steps_.push_back(std::move(step));
    if (link) return follow();
    return !folder;
  }

  base::Result<bool> follow() {
    Step& step = steps_.back();
    if (++links_ > kMaxLinks) return cannot_be_followed(step.path, ELOOP);
    SR_LET(target, link_target(step.path));
    // "pipe:[123]": no path at all. The kernel goes to the open file itself.
    if (is_procfs(step.folder) && target->find(":[") != std::string::npos) {
      step.kind = StepKind::kOther;
      if (::stat(step.path.c_str(), &step.facts) != 0) return cannot_be_followed(step.path, errno);
      return true;
    }
    if (target->starts_with('/')) folder_ = "/";
    left_ = left_.empty() ? *target : fmt::format("{}/{}", *target, left_);
    return false;
  }

  static base::Result<bool> cannot_be_followed(const std::string& path, int err) {
    auto error = base::errno_error(fmt::format("cannot follow {}", path), err);
    error.error().kind = base::ErrorKind::kUsage;
    return error;
  }

  std::string left_;
  std::string folder_;
  std::vector<Step> steps_;
  int links_ = 0;
};

}  // namespace

base::Result<std::vector<Step>> walk_path(const std::string& path, const std::string& start) {
  return Walker(path, start).walk();
}

}  // namespace soleroute::gateway::jail
