// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/standard_descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace soleroute::gateway::jail {
namespace {

constexpr unsigned kMemoryDevices = 1;        // major number of /dev/null, zero, full, random, kmsg
constexpr unsigned long kPidFs = 0x50494446;  // PID_FS_MAGIC, Linux 6.9
constexpr std::array<std::string_view, 3> kNames{"standard input", "standard output", "standard error"};

bool option_is(int fd, int option, int wanted) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

// Its other end is a process that chose to hold it. It cannot be connected again, unlike a datagram socket.
bool is_connected_unix_stream(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  return option_is(fd, SO_DOMAIN, AF_UNIX) &&
         (option_is(fd, SO_TYPE, SOCK_STREAM) || option_is(fd, SO_TYPE, SOCK_SEQPACKET)) &&
         option_is(fd, SO_ACCEPTCONN, 0) && ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

bool is_plain_file(int fd) {
  struct statfs system{};
  if (::fstatfs(fd, &system) != 0) return false;
  const auto type = static_cast<unsigned long>(system.f_type);
  return type != NSFS_MAGIC && type != kPidFs && type != ANON_INODE_FS_MAGIC;
}

// What is wrong with it, or nothing.
std::string_view fault_of(int fd) {
  struct stat facts{};
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fstat(fd, &facts) != 0) return "is not readable";
  if ((flags & O_PATH) != 0) return "is a path descriptor";
  switch (facts.st_mode & S_IFMT) {
    case S_IFREG:
      return is_plain_file(fd) ? "" : "is a kernel handle";
    case S_IFIFO:
    case S_IFBLK:
      return "";
    case S_IFCHR:
      return ::isatty(fd) == 1 || major(facts.st_rdev) == kMemoryDevices ? "" : "is a device";
    case S_IFSOCK:
      return is_connected_unix_stream(fd) ? "" : "is a socket";
    case S_IFDIR:
      return "is a directory";
    default:
      return "is a kernel handle";
  }
}

}  // namespace

base::Status check_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const std::string_view fault = fault_of(fd);
    if (fault.empty()) continue;
    return base::system_error(
        fmt::format("{} {}, through which the command could leave its sandbox: pass a pipe or a file instead{}",
                    kNames[static_cast<std::size_t>(fd)], fault,
                    fd == STDIN_FILENO ? " (cat | gateway run … or </dev/null)" : " (gateway run … | cat)"));
  }
  return {};
}

}  // namespace soleroute::gateway::jail
