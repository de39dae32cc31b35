// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/guarded_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::inspect {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;
constexpr mode_t kOthers = 077;
constexpr mode_t kOthersWrite = 022;
constexpr mode_t kParents = 0755;

// Root may own what we use: it could change it anyway.
bool owned(const struct stat& status) {
  return status.st_uid == ::geteuid() || status.st_uid == 0;
}

base::Status check_kind(const std::string& path, const struct stat& status, GuardedDirectory::Access access) {
  if (!S_ISREG(status.st_mode)) return base::usage_error(fmt::format("{}: must be an ordinary file", path));
  if (std::cmp_greater(status.st_size, kMaxFile)) {
    return base::usage_error(fmt::format("{}: is larger than {} bytes", path, kMaxFile));
  }
  if (access == GuardedDirectory::Access::kPublic) return {};
  if (!owned(status)) {
    return base::usage_error(
        fmt::format("{0} is owned by user {1}, who could read and change the CA; run 'chown {2} {0}'", path,
                    status.st_uid, ::geteuid()));
  }
  if ((status.st_mode & kOthers) != 0) {
    return base::usage_error(
        fmt::format("{0}: others than its owner may use the CA's private key (mode {1:04o}); 'chmod 600 {0}'", path,
                    status.st_mode & 07777U));
  }
  return {};
}

base::Result<std::string> read_all(int fd) {
  std::string text;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::errno_error("cannot read the file");
    if (count == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxFile) return base::usage_error(fmt::format("is larger than {} bytes", kMaxFile));
  }
}

base::Status make_parents(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (::mkdir(parent.c_str(), kParents) != 0 && errno != EEXIST) {
      return base::errno_error(fmt::format("cannot create {}", base::shown(parent)));
    }
  }
  return {};
}

// With one, a symbolic link would be followed.
std::string without_final_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

base::Error about(const std::string& path, base::Error error) {
  error.message = fmt::format("{}: {}", path, error.message);
  return error;
}

}  // namespace

base::Result<GuardedDirectory> GuardedDirectory::open(const std::string& given) {
  const std::string path = without_final_slashes(given);
  const std::string name = base::shown(path);
  if (path.empty()) return base::usage_error("\"\": is not the name of a directory");
  base::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd) return GuardedDirectory(path, std::move(fd));
  const int err = errno;
  struct stat status{};
  if (err == ENOTDIR && ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
    return base::usage_error(fmt::format("{}: is a symbolic link; name the directory that it points to", name));
  }
  auto error = base::errno_error(fmt::format("cannot open {}", name), err);
  error.error().kind = base::ErrorKind::kUsage;
  return error;
}

base::Result<GuardedDirectory> GuardedDirectory::open_or_make(const std::string& path, mode_t mode) {
  auto opened = open(path);
  if (opened || opened.error().sys_errno != ENOENT) return opened;
  const std::string name = without_final_slashes(path);
  SR_TRY(make_parents(name));
  if (::mkdir(name.c_str(), mode) != 0 && errno != EEXIST) {
    return base::errno_error(fmt::format("cannot create {}", base::shown(name)));
  }
  return open(name);
}

base::Status GuardedDirectory::check_private() const {
  struct stat status{};
  const std::string name = base::shown(path_);
  if (::fstat(fd_.get(), &status) != 0) return base::errno_error(fmt::format("cannot stat {}", name));
  if (!owned(status)) {
    return base::usage_error(fmt::format("{0} is owned by user {1}, who could replace the CA; run 'chown {2} {0}'",
                                         name, status.st_uid, ::geteuid()));
  }
  if ((status.st_mode & kOthersWrite) != 0) {
    return base::usage_error(
        fmt::format("{0}: others than its owner may write to it (mode {1:04o}), and replace the CA; 'chmod go-w {0}'",
                    name, status.st_mode & 07777U));
  }
  return {};
}

bool GuardedDirectory::is_same_as(const GuardedDirectory& other) const {
  struct stat mine{};
  struct stat theirs{};
  return ::fstat(fd_.get(), &mine) == 0 && ::fstat(other.fd_.get(), &theirs) == 0 && mine.st_dev == theirs.st_dev &&
         mine.st_ino == theirs.st_ino;
}

bool GuardedDirectory::has(const char* name) const {
  struct stat status{};
  return ::fstatat(fd_.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

base::Result<base::Fd> GuardedDirectory::open_file(const char* name, Access access) const {
  const std::string path = shown(name);
  // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
  base::Fd file(::openat(fd_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file && errno == ENOENT) return file;
  if (!file && errno == ELOOP) {
    return base::usage_error(fmt::format("{}: is a symbolic link; put the file itself there", path));
  }
  if (!file) {
    auto error = base::errno_error(fmt::format("cannot open {}", path));
    error.error().kind = base::ErrorKind::kUsage;
    return error;
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return base::errno_error(fmt::format("cannot stat {}", path));
  SR_TRY(check_kind(path, status, access));
  return file;
}

base::Status GuardedDirectory::check(const char* name, Access access) const {
  const auto file = open_file(name, access);
  return file ? base::Status{} : std::unexpected(file.error());
}

base::Result<std::optional<std::string>> GuardedDirectory::read(const char* name, Access access) const {
  SR_LET(file, open_file(name, access));
  if (!*file) return std::nullopt;
  auto text = read_all(file->get());
  if (!text) return std::unexpected(about(shown(name), text.error()));
  return std::move(*text);
}

base::Result<bool> GuardedDirectory::write(const char* name, std::string_view text, mode_t mode,
                                           Existing existing) const {
  const auto failed = [&](base::Error error) { return std::unexpected(about(shown(name), std::move(error))); };
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random)
    return failed(base::errno_error("no randomness").error());
  const std::string fresh = fmt::format(".{}.{:016x}", name, random);
  const base::Fd file(
      ::openat(fd_.get(), fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0600));
  if (!file) return failed(base::errno_error("cannot create the file").error());
  base::Status written;
  // The mode must not depend on the umask.
  if (!base::write_all(file.get(), text) || ::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0) {
    written = base::errno_error("cannot write the file");
  }
  bool placed = false;
  if (written && existing == Existing::kReplaced) {
    placed = ::renameat(fd_.get(), fresh.c_str(), fd_.get(), name) == 0;
    if (!placed) written = base::errno_error("cannot rename into place");
  } else if (written) {
    placed = ::linkat(fd_.get(), fresh.c_str(), fd_.get(), name, 0) == 0;
    if (!placed && errno != EEXIST) written = base::errno_error("cannot rename into place");
  }
  if (!placed || existing == Existing::kKept) ::unlinkat(fd_.get(), fresh.c_str(), 0);
  if (!written) return failed(written.error());
  ::fsync(fd_.get());  // best effort: some file systems cannot, and the file itself is synced
  return placed;
}

std::string GuardedDirectory::shown(const char* name) const {
  return fmt::format("{}{}{}", base::shown(path_), path_ == "/" ? "" : "/", name);
}

}  // namespace soleroute::gateway::inspect
