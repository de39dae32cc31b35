// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "base/text.h"

namespace soleroute::gateway::host {
namespace {

using base::Error;
using base::Fd;
using base::Status;

constexpr mode_t kPermissions = 0777;
constexpr mode_t kOfNewFile = 0644;

// A file by its folder and its name there, so that nothing on the way is looked up twice.
struct Place {
  Fd folder;
  std::string name;
  std::string shown;  // for messages: the path as given

  [[nodiscard]] std::unexpected<Error> failed(std::string_view what, int err) const {
    return std::unexpected(Error{fmt::format("cannot {} {}: {}", what, shown, std::generic_category().message(err)),
                                 base::ErrorKind::kUsage, err});
  }
  [[nodiscard]] std::unexpected<Error> changed() const {
    return base::usage_error(fmt::format("{} was changed meanwhile; nothing was written. Try again", shown));
  }
  // O_NONBLOCK: opening a FIFO would wait for another program.
  [[nodiscard]] Fd open(int flags) const {
    return Fd(::openat(folder.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  }
};

// A file beside the policy that is removed unless it was renamed.
class FileBeside {
 public:
  explicit FileBeside(const Place& place) : folder_(place.folder.get()) {
    std::random_device random;
    name_ = fmt::format(".policy.{:08x}{:08x}.new", random(), random());
    file_ = Fd(::openat(folder_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  }
  ~FileBeside() {
    if (file_ && !renamed_) ::unlinkat(folder_, name_.c_str(), 0);
  }
  FileBeside(const FileBeside&) = delete;
  FileBeside& operator=(const FileBeside&) = delete;

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(file_); }
  // 0, or an errno.
  [[nodiscard]] int fill(std::string_view text, const struct stat& like) const {
    struct stat made{};
    if (!base::write_all(file_.get(), text) || ::fstat(file_.get(), &made) != 0) return errno;
    const bool owned = made.st_uid == like.st_uid && made.st_gid == like.st_gid;
    if (!owned && ::fchown(file_.get(), like.st_uid, like.st_gid) != 0) return errno;
    if (::fchmod(file_.get(), like.st_mode & kPermissions) != 0 || ::fsync(file_.get()) != 0) return errno;
    return 0;
  }
  [[nodiscard]] int rename_to(const std::string& name, unsigned flags) {
    const auto renamed = [&](unsigned how) {
      return ::renameat2(folder_, name_.c_str(), folder_, name.c_str(), how) == 0;
    };
    renamed_ = renamed(flags) || (flags != 0 && errno == EINVAL && !exists(name) && renamed(0));
    if (!renamed_) return errno;
    ::fsync(folder_);  // best effort: some file systems cannot
    return 0;
  }

 private:
  [[nodiscard]] bool exists(const std::string& name) const {
    return ::faccessat(folder_, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  }

  int folder_;
  std::string name_;
  Fd file_;
  bool renamed_ = false;
};

// The real path: symbolic links followed to the file. Of a file that does not exist, the folder's.
std::string real_path(const std::string& path) {
  const auto resolved = [](const std::string& text) -> std::string {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(text.c_str(), nullptr), &std::free);
    return real ? real.get() : std::string();
  };
  if (auto real = resolved(path); !real.empty()) return real;
  const auto slash = path.rfind('/');
  const std::string folder = resolved(slash == std::string::npos ? "." : path.substr(0, slash + 1));
  return folder.empty() ? path : folder + "/" + path.substr(slash == std::string::npos ? 0 : slash + 1);
}

base::Result<Place> place_of(const std::string& path) {
  const std::string real = real_path(path);
  const auto slash = real.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : real.substr(0, slash + 1);
  Place place{.folder = Fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
              .name = real.substr(slash == std::string::npos ? 0 : slash + 1),
              .shown = base::shown(path)};
  if (!place.folder) return place.failed("write", errno);
  return place;
}

Status check_text(const Place& place, const Fd& file, const struct stat& status, std::string_view text) {
  if (!S_ISREG(status.st_mode)) return place.failed("write", S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
  if (std::cmp_not_equal(status.st_size, text.size())) return place.changed();
  std::string found(text.size(), '\0');
  std::size_t had = 0;
  while (had < found.size()) {
    const ssize_t count = ::pread(file.get(), found.data() + had, found.size() - had, static_cast<off_t>(had));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return place.failed("read", errno);
    if (count == 0) break;
    had += static_cast<std::size_t>(count);
  }
  return found == text ? Status{} : place.changed();
}

bool unchanged(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// In this order, a reader between two steps sees text with NUL bytes, which is no policy, or a file that was written a
// moment ago, for which a gateway waits.
bool overwrite(const Fd& file, std::string_view text) {
  if (::ftruncate(file.get(), 0) != 0) return false;
  if (::posix_fallocate(file.get(), 0, static_cast<off_t>(text.size() + 1)) == ENOSPC) return errno = ENOSPC, false;
  return ::lseek(file.get(), 0, SEEK_SET) == 0 && base::write_all(file.get(), text) &&
         ::ftruncate(file.get(), static_cast<off_t>(text.size())) == 0 && ::fsync(file.get()) == 0;
}

Status write_in_place(const Place& place, std::string_view old_text, std::string_view new_text) {
  const Fd file = place.open(O_RDWR);
  if (!file) return place.failed("write", errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return place.failed("read", errno);
  SR_TRY(check_text(place, file, status, old_text));
  if (overwrite(file, new_text)) return {};
  const int err = errno;
  if (!overwrite(file, old_text)) {
    return base::usage_error(
        fmt::format("cannot write {}, and it is damaged now: {}", place.shown, std::generic_category().message(err)));
  }
  return place.failed("write", err);
}

enum class Renaming { kDone, kImpossible };

base::Result<Renaming> rename_over(const Place& place, const struct stat& old, std::string_view new_text) {
  FileBeside beside(place);
  if (!beside || beside.fill(new_text, old) != 0) return Renaming::kImpossible;
  struct stat now{};
  const bool there = ::fstatat(place.folder.get(), place.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there || !unchanged(old, now)) return place.changed();
  return beside.rename_to(place.name, 0) == 0 ? Renaming::kDone : Renaming::kImpossible;
}

Status create(const Place& place, std::string_view text) {
  FileBeside beside(place);
  if (!beside) return place.failed("create", errno);
  struct stat like{};
  like.st_uid = ::geteuid();
  like.st_gid = ::getegid();
  like.st_mode = kOfNewFile;
  if (const int err = beside.fill(text, like); err != 0) return place.failed("create", err);
  const int err = beside.rename_to(place.name, RENAME_NOREPLACE);
  return err == 0 ? Status{} : place.failed("create", err);
}

}  // namespace

Status replace_policy_file(const std::string& path, std::string_view old_text, std::string_view new_text) {
  SR_LET(place, place_of(path));
  struct stat old{};
  {
    const Fd file = place->open(O_RDONLY);
    if (!file && errno == ENOENT && old_text.empty()) return create(*place, new_text);
    if (!file) return place->failed("write", errno);
    if (::fstat(file.get(), &old) != 0) return place->failed("read", errno);
    SR_TRY(check_text(*place, file, old, old_text));
  }
  SR_LET(renaming, rename_over(*place, old, new_text));
  return *renaming == Renaming::kDone ? Status{} : write_in_place(*place, old_text, new_text);
}

}  // namespace soleroute::gateway::host
