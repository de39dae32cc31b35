// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/new_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/fd.h"
#include "base/text.h"

namespace soleroute::gateway::project {
namespace {

using base::Fd;
using base::Status;

// No signal between the first file and the last; a file above the limit of its size is an error and no signal.
class SignalsLater {
 public:
  SignalsLater() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsLater() {
    // The kernel raised SIGXFSZ beside the error that was reported: it must not end the program now.
    sigset_t pending;
    if (::sigpending(&pending) == 0 && ::sigismember(&pending, SIGXFSZ) == 1) {
      sigset_t one;
      int number = 0;
      ::sigemptyset(&one);
      ::sigaddset(&one, SIGXFSZ);
      ::sigwait(&one, &number);
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalsLater(const SignalsLater&) = delete;
  SignalsLater& operator=(const SignalsLater&) = delete;

 private:
  sigset_t before_{};
};

// What the call failed on, and for a folder of another user's: who could do it.
std::unexpected<base::Error> failed(const std::string& path, const struct stat& owner, int err = errno) {
  auto error = base::errno_error(base::shown(path), err);
  if (err == EACCES && owner.st_uid != ::geteuid()) {
    error.error().message += fmt::format(
        ". The folder is owned by user {0}, and you are user {2}: run init as its owner (in a container: docker run -u "
        "{0}:{1})",
        owner.st_uid, owner.st_gid, ::geteuid());
  }
  error.error().kind = base::ErrorKind::kSystem;
  return error;
}

// Some file systems know no RENAME_NOREPLACE; a hard link does not replace either.
int rename_new(int folder, const char* from, const char* to) {
  if (::renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return -1;
  if (::linkat(folder, from, folder, to, 0) == 0) return ::unlinkat(folder, from, 0);
  if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS) return -1;
  if (::faccessat(folder, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::renameat(folder, from, folder, to);
}

// One folder that is written into, opened once: what happens to its path meanwhile does not matter.
struct Place {
  std::string name;  // "" is the project's folder itself
  Fd fd;
  bool made = false;
};

class Transaction {
 public:
  Transaction(const std::string& folder, Fd root, const struct stat& owner) : folder_(folder), owner_(owner) {
    places_.push_back({"", std::move(root)});
  }
  ~Transaction() {
    if (!done_) undo();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Status write(const ProjectFile& file, bool set_aside);
  Status publish();

 private:
  struct Written {
    std::size_t place;
    std::string temporary;
    std::string name;
    bool set_aside = false;  // a file of this name is there, and becomes NAME.old
    bool moved = false;
    bool published = false;
  };

  [[nodiscard]] std::string path_of(const std::string& below) const { return folder_ + "/" + below; }
  base::Result<std::size_t> place(const std::string& name);
  void undo();

  std::string folder_;
  struct stat owner_;
  std::vector<Place> places_;
  std::vector<Written> files_;
  bool done_ = false;
};

base::Result<std::size_t> Transaction::place(const std::string& name) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].name == name) return i;
  }
  const int root = places_.front().fd.get();
  constexpr mode_t kMode = 0755;
  const bool made = ::mkdirat(root, name.c_str(), kMode) == 0;
  if (!made && errno != EEXIST) return failed(path_of(name), owner_);
  Fd fd(::openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && (errno == ENOTDIR || errno == ELOOP)) {
    return base::usage_error(
        fmt::format("{} is a file or a link, not a folder: move it away", base::shown(path_of(name))));
  }
  if (!fd) return failed(path_of(name), owner_);
  if (made && ::geteuid() == 0 && ::fchown(fd.get(), owner_.st_uid, owner_.st_gid) != 0) {
    return failed(path_of(name), owner_);
  }
  places_.push_back({name, std::move(fd), made});
  return places_.size() - 1;
}

Status Transaction::write(const ProjectFile& file, bool set_aside) {
  const auto slash = file.path.rfind('/');
  SR_LET(where, place(slash == std::string::npos ? "" : file.path.substr(0, slash)));
  const int folder = places_[*where].fd.get();
  Written written{*where, fmt::format(".soleroute-init-{}-{}", ::getpid(), files_.size()),
                  slash == std::string::npos ? file.path : file.path.substr(slash + 1), set_aside};
  constexpr mode_t kMode = 0644;
  const Fd fd(::openat(folder, written.temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!fd) return failed(path_of(file.path), owner_);
  files_.push_back(written);
  if (!base::write_all(fd.get(), file.text)) return failed(path_of(file.path), owner_);
  if (::geteuid() == 0 && ::fchown(fd.get(), owner_.st_uid, owner_.st_gid) != 0) {
    return failed(path_of(file.path), owner_);
  }
  // Some file systems say only now that there is no room.
  if (::fsync(fd.get()) != 0) return failed(path_of(file.path), owner_);
  return {};
}

Status Transaction::publish() {
  for (Written& file : files_) {
    const Place& place = places_[file.place];
    if (file.set_aside) {
      const std::string old = file.name + ".old";
      if (rename_new(place.fd.get(), file.name.c_str(), old.c_str()) != 0) {
        return failed(path_of(place.name.empty() ? old : place.name + "/" + old), owner_);
      }
      file.moved = true;
    }
    if (rename_new(place.fd.get(), file.temporary.c_str(), file.name.c_str()) != 0) {
      return failed(path_of(place.name.empty() ? file.name : place.name + "/" + file.name), owner_);
    }
    file.published = true;
  }
  done_ = true;
  return {};
}

void Transaction::undo() {
  for (const Written& file : files_) {
    const std::string& name = file.published ? file.name : file.temporary;
    const int folder = places_[file.place].fd.get();
    ::unlinkat(folder, name.c_str(), 0);
    if (file.moved) ::renameat(folder, (file.name + ".old").c_str(), folder, file.name.c_str());
  }
  for (const Place& place : places_) {
    if (place.made) ::unlinkat(places_.front().fd.get(), place.name.c_str(), AT_REMOVEDIR);
  }
}

}  // namespace

std::vector<std::string> taken_paths(const std::string& folder, std::span<const ProjectFile> files) {
  std::vector<std::string> taken;
  for (const ProjectFile& file : files) {
    struct stat status{};
    if (::lstat((folder + "/" + file.path).c_str(), &status) == 0) taken.push_back(file.path);
  }
  return taken;
}

Status write_new_files(const std::string& folder, std::span<const ProjectFile> files,
                       std::span<const std::string> set_aside) {
  const SignalsLater later;
  Fd root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat owner{};
  if (::stat(folder.c_str(), &owner) != 0 || !root) return failed(folder, owner);
  Transaction transaction(folder, std::move(root), owner);
  for (const ProjectFile& file : files) {
    const bool there = std::ranges::find(set_aside, file.path) != set_aside.end();
    SR_TRY(transaction.write(file, there));
  }
  return transaction.publish();
}

Status append_lines(const std::string& path, std::string_view lines) {
  const SignalsLater later;
  const Fd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat before{};
  if (!fd || ::fstat(fd.get(), &before) != 0) return base::errno_error(base::shown(path));
  if (!S_ISREG(before.st_mode)) return base::usage_error(base::shown(path) + " is not an ordinary file");
  char last = '\n';
  if (before.st_size > 0 && ::pread(fd.get(), &last, 1, before.st_size - 1) != 1)
    return base::errno_error(base::shown(path));
  const bool written = base::write_all(fd.get(), (last == '\n' ? "" : "\n") + std::string(lines));
  if (written && ::fsync(fd.get()) == 0) return {};
  const int err = errno;
  if (::ftruncate(fd.get(), before.st_size) != 0) return base::errno_error(base::shown(path) + ": half-written");
  return base::errno_error(base::shown(path), err);
}

Status replace_text(const std::string& path, std::string_view text) {
  const SignalsLater later;
  struct stat before{};
  if (::lstat(path.c_str(), &before) != 0) return base::errno_error(base::shown(path));
  if (!S_ISREG(before.st_mode)) return base::usage_error(base::shown(path) + " is not an ordinary file");
  const std::string temporary = fmt::format("{}.soleroute-init-{}", path, ::getpid());
  const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!fd) return failed(path, before);
  constexpr mode_t kBits = 07777;
  const bool whole = base::write_all(fd.get(), text) && ::fchown(fd.get(), before.st_uid, before.st_gid) == 0 &&
                     ::fchmod(fd.get(), before.st_mode & kBits) == 0 && ::fsync(fd.get()) == 0 &&
                     ::rename(temporary.c_str(), path.c_str()) == 0;
  if (whole) return {};
  const int err = errno;
  ::unlink(temporary.c_str());
  return failed(path, before, err);
}

Status make_folders(const std::string& base, const std::string& below) {
  struct stat owner{};
  if (::stat(base.c_str(), &owner) != 0) return base::errno_error(base::shown(base));
  for (std::size_t end = 0; end != std::string::npos;) {
    end = below.find('/', end + 1);
    const std::string path = base + "/" + below.substr(0, end);
    constexpr mode_t kMode = 0755;
    if (::mkdir(path.c_str(), kMode) == 0) {
      if (::geteuid() == 0 && ::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) return failed(path, owner);
    } else if (errno != EEXIST) {
      return failed(path, owner);
    }
  }
  return {};
}

}  // namespace soleroute::gateway::project
