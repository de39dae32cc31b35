// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/process_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace soleroute::gateway::jail {
namespace {

constexpr int kFirstOther = 3;
constexpr rlim_t kMostDescriptors = 1 << 20;  // fs.nr_open as the kernel sets it

base::Result<bool> set_disposition(int signal, void (*handler)(int)) {
  struct sigaction wanted{};
  wanted.sa_handler = handler;
  struct sigaction before{};
  if (::sigaction(signal, &wanted, &before) != 0) {
    return base::errno_error(fmt::format("cannot set the disposition of signal {}", signal));
  }
  return before.sa_handler == SIG_IGN;
}

int descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max > kMostDescriptors) return kMostDescriptors;
  return static_cast<int>(limit.rlim_max);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  // exec(3) takes char* and does not write through it.
  for (const std::string& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

sigset_t blocked_signals() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&set, fault);
  return set;
}

base::Result<SignalState> take_signals() {
  SignalState state;
  const sigset_t blocked = blocked_signals();
  if (::sigprocmask(SIG_BLOCK, &blocked, &state.mask) != 0) return base::errno_error("cannot block signals");
  SR_LET(child, set_disposition(SIGCHLD, SIG_DFL));
  SR_LET(pipe, set_disposition(SIGPIPE, SIG_IGN));
  state.child_ignored = *child;
  state.pipe_ignored = *pipe;
  return state;
}

base::Status restore_signals(const SignalState& state) {
  SR_LET(child, set_disposition(SIGCHLD, state.child_ignored ? SIG_IGN : SIG_DFL));
  SR_LET(pipe, set_disposition(SIGPIPE, state.pipe_ignored ? SIG_IGN : SIG_DFL));
  if (::sigprocmask(SIG_SETMASK, &state.mask, nullptr) != 0) return base::errno_error("cannot restore the signal mask");
  return {};
}

base::Status fill_standard_descriptors() {
  for (;;) {
    base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return base::errno_error("cannot open /dev/null (under bwrap, add --dev /dev)");
    if (null.get() >= kFirstOther) return {};
    // The lowest free number: it stays open, for the command too.
    if (::fcntl(null.get(), F_SETFD, 0) != 0) return base::errno_error("cannot keep a standard descriptor");
    static_cast<void>(null.release());
  }
}

base::Status detach_descriptor(int fd) {
  const base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return base::errno_error("cannot open /dev/null (under bwrap, add --dev /dev)");
  if (::dup2(null.get(), fd) < 0) return base::errno_error("cannot detach a standard descriptor");
  return {};
}

base::Status close_on_exec_from_three() {
  if (::close_range(kFirstOther, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0) return {};
  // Linux before 5.11.
  for (int fd = kFirstOther; fd < descriptor_limit(); ++fd) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 && errno != EBADF) {
      return base::errno_error("cannot close inherited descriptors");
    }
  }
  return {};
}

void close_all_but(int keep, int keep_too) {
  unsigned first = kFirstOther;
  for (const int each : {std::min(keep, keep_too), std::max(keep, keep_too)}) {
    if (each < static_cast<int>(first)) continue;
    const auto kept = static_cast<unsigned>(each);
    if (kept > first) ::close_range(first, kept - 1, 0);
    first = kept + 1;
  }
  ::close_range(first, UINT_MAX, 0);
}

int execute(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  std::vector<char*> variables = pointers(environment);
  const std::vector<char*> arguments = pointers(command);
  environ = variables.data();  // execvp looks for the program in the PATH of this one
  ::execvp(arguments[0], arguments.data());
  return errno;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) out.emplace_back(*entry);
  return out;
}

}  // namespace soleroute::gateway::jail
