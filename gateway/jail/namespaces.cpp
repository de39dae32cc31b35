// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <sstream>
#include <string_view>
#include <system_error>

#include "base/fd.h"
#include "base/read_file.h"
#include "gateway/jail/credentials.h"

namespace soleroute::gateway::jail {
namespace {

constexpr std::size_t kMaxIdMap = 16 * 1024;  // 340 lines at most: user_namespaces(7)

base::Status write_proc(const char* path, std::string_view text) {
  const base::Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file) return base::errno_error(fmt::format("cannot open {}", path));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return base::errno_error(fmt::format("cannot write {}", path));
  }
  return {};
}

// "first-inside first-outside count" a line becomes the same numbers on both sides: what is mapped here is all there
// is.
std::string identity_map(std::string_view own_map) {
  std::string text;
  std::istringstream lines{std::string(own_map)};
  unsigned long inside = 0;
  unsigned long outside = 0;
  unsigned long count = 0;
  while (lines >> inside >> outside >> count) text += fmt::format("{0} {0} {1}\n", inside, count);
  return text;
}

base::Status map_every(const char* own, const std::string& theirs) {
  SR_LET(map, base::read_file(own, kMaxIdMap));
  return write_proc(theirs.c_str(), identity_map(*map));
}

std::optional<long> read_switch(const char* path) {
  const std::string text = base::read_file(path, 32).value_or("");
  long value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

}  // namespace

base::Result<pid_t> fork_into(const NamespaceSet& set) {
  unsigned long flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC;
  if (set.user) flags |= CLONE_NEWUSER;
  if (set.pid) flags |= CLONE_NEWPID;
  // The system call itself: unshare(2) before fork(2) would cost one process more, and a process that has unshared its
  // PID namespace can start no thread. With a null stack the arguments after the flags are all null, so that their
  // order, which differs between architectures, does not matter. glibc's fork handlers do not run: nothing here
  // registers any.
  const long pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0 && set.user) {
    const int err = errno;
    return std::unexpected(
        base::Error{explain_forbidden(read_user_namespace_switches(), err), base::ErrorKind::kSystem, err});
  }
  if (pid < 0) return base::errno_error("cannot create a network namespace");
  return static_cast<pid_t>(pid);
}

base::Status map_own_identity(uid_t uid, gid_t gid) {
  // Files under /proc/self of a process that cannot be dumped belong to root, who is somebody else in here.
  SR_TRY(set_dumpable(true));
  // Linux 3.19 (CVE-2014-8989): a group map may be written only after setgroups(2) is denied. ENOENT: before it.
  if (auto denied = write_proc("/proc/self/setgroups", "deny"); !denied && denied.error().sys_errno != ENOENT) {
    return denied;
  }
  SR_TRY(write_proc("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)));
  SR_TRY(write_proc("/proc/self/gid_map", fmt::format("{0} {0} 1", gid)));
  return set_dumpable(false);
}

base::Status enter_nested_user_namespace(uid_t uid, gid_t gid) {
  if (::unshare(CLONE_NEWUSER) != 0) return base::errno_error("cannot create a nested user namespace");
  return map_own_identity(uid, gid);
}

base::Status map_every_identity(pid_t process) {
  SR_TRY(map_every("/proc/self/uid_map", fmt::format("/proc/{}/uid_map", process)));
  return map_every("/proc/self/gid_map", fmt::format("/proc/{}/gid_map", process));
}

UserNamespaceSwitches read_user_namespace_switches() {
  return {.max_user_namespaces = read_switch("/proc/sys/user/max_user_namespaces"),
          .unprivileged_clone = read_switch("/proc/sys/kernel/unprivileged_userns_clone"),
          .apparmor_restricts = read_switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
          .has_proc_user_namespace = ::access("/proc/self/ns/user", F_OK) == 0,
          .no_new_privs = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1};
}

std::string explain_forbidden(const UserNamespaceSwitches& switches, int err) {
  std::string text = fmt::format("cannot create a user namespace ({})\n", std::generic_category().message(err));
  if (!switches.has_proc_user_namespace) {
    text += "  The kernel is built without user namespaces (CONFIG_USER_NS).\n";
  } else if (switches.max_user_namespaces == 0) {
    text += "  user.max_user_namespaces is 0. To allow them: sudo sysctl -w user.max_user_namespaces=15000\n";
  } else if (switches.unprivileged_clone == 0) {
    text +=
        "  kernel.unprivileged_userns_clone is 0. To allow them: sudo sysctl -w kernel.unprivileged_userns_clone=1\n";
  } else if (switches.apparmor_restricts.value_or(0) != 0) {
    text +=
        "  AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns). To allow them for gateway only, "
        "give\n"
        "  it a profile with `userns,`. To allow them for every program:\n"
        "  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\n";
  } else if (err == ENOSPC || err == EUSERS) {
    text += "  A limit on their number or nesting is reached (user.max_user_namespaces, or 32 levels).\n";
  } else {
    text +=
        "  probably blocked by a container's seccomp profile (for Docker, start the container with --privileged, or\n"
        "  use the Compose stack instead), or by the kernel under chroot.\n";
  }
  text += switches.no_new_privs ? "  Start gateway outside of this sandbox: its no_new_privs rules out sudo."
                                : "  Without user namespaces: sudo gateway run … (the command still runs as you, "
                                  "without privileges).";
  return text;
}

}  // namespace soleroute::gateway::jail
