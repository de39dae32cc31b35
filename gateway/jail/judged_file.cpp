// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/judged_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "gateway/host/policy_files.h"
#include "gateway/jail/rights_of.h"

namespace soleroute::gateway::jail {
namespace {

constexpr int kAppend = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
constexpr mode_t kLogMode = 0644;

const JudgedPath* find(const std::string& path, std::span<const JudgedPath> judged) {
  const auto found = std::ranges::find(judged, path, &JudgedPath::named);
  return found == judged.end() ? nullptr : &*found;
}

// Whether another user's processes may decide what is there. What nobody judged counts as such.
bool is_exposed(const JudgedPath* judged, const Identity& command) {
  return command.borrowed && (judged == nullptr || judged->within_reach);
}

base::Result<base::Fd> opened(base::Fd file, const std::string& path) {
  if (file) return file;
  auto failed = base::errno_error(fmt::format("cannot open {}", base::shown(path)));
  failed.error().kind = base::ErrorKind::kUsage;  // the command line names the file
  return failed;
}

base::Result<base::Fd> open_the_same(const JudgedPath& judged, int flags) {
  // Nothing is made and nothing emptied by opening.
  base::Fd file(::open(judged.path.c_str(), flags));
  if (!file) return opened(std::move(file), judged.named);
  struct stat facts{};
  if (::fstat(file.get(), &facts) != 0 || facts.st_dev != judged.device || facts.st_ino != judged.inode) {
    return base::usage_error(fmt::format("{}: replaced while gateway started; try again", base::shown(judged.named)));
  }
  return file;
}

base::Result<base::Fd> open_judged(const std::string& path, std::span<const JudgedPath> judged, const Identity& command,
                                   int flags) {
  const JudgedPath* known = find(path, judged);
  if (!is_exposed(known, command)) return opened(base::Fd(::open(path.c_str(), flags | O_CREAT, kLogMode)), path);
  if (known != nullptr && known->there) return open_the_same(*known, flags);
  const RightsOf rights(command);
  if (!rights.complete()) return base::system_error("cannot switch to the rights of the command's user");
  const std::string& at = known == nullptr ? path : known->path;
  return opened(base::Fd(::open(at.c_str(), flags | O_CREAT | O_NOFOLLOW, kLogMode)), path);
}

}  // namespace

base::Result<base::Fd> open_judged_log(const std::string& path, std::span<const JudgedPath> judged,
                                       const Identity& command) {
  // O_NONBLOCK would refuse a named pipe whose reader is yet to come.
  return open_judged(path, judged, command, kAppend);
}

base::Result<base::Fd> open_judged_file(const std::string& path, std::span<const JudgedPath> judged,
                                        const Identity& command) {
  SR_LET(file, open_judged(path, judged, command, kAppend | O_NONBLOCK));
  struct stat facts{};
  if (::fstat(file->get(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return base::usage_error(fmt::format("{}: not a regular file", base::shown(path)));
  }
  return std::move(*file);
}

base::Result<std::string> read_judged_file(const std::string& path, std::size_t max_bytes,
                                           std::span<const JudgedPath> judged, const Identity& command) {
  if (!is_exposed(find(path, judged), command)) return host::read_settled_file(path, max_bytes);
  const RightsOf rights(command);
  if (!rights.complete()) return base::system_error("cannot switch to the rights of the command's user");
  return host::read_settled_file(path, max_bytes);
}

}  // namespace soleroute::gateway::jail
