// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"
#include "netrules/kernel.h"

namespace soleroute::netrules {
namespace {

struct Answer {
  int error = 0;  // errno of what failed, 0: the features are valid
  Features features;
};

Answer probe_here() {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return {errno, {}};
  const auto features = make_kernel()->probe();
  if (!features) return {features.error().sys_errno == 0 ? EIO : features.error().sys_errno, {}};
  return {0, *features};
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

}  // namespace

base::Result<Features> probe_in_scratch_namespace() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::errno_error("cannot probe the kernel");
  base::Fd from_child(ends[0]);
  base::Fd to_parent(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return base::errno_error("cannot probe the kernel");
  if (child == 0) {
    const Answer answer = probe_here();
    const ssize_t written = ::write(to_parent.get(), &answer, sizeof answer);
    ::_exit(written == sizeof answer ? 0 : 1);
  }
  to_parent.reset();
  Answer answer;
  ssize_t got = 0;
  do {
    got = ::read(from_child.get(), &answer, sizeof answer);
  } while (got < 0 && errno == EINTR);
  wait_for(child);
  if (got != sizeof answer) return base::system_error("cannot probe the kernel: the probing process ended early");
  if (answer.error != 0) return base::errno_error("cannot probe the kernel in a new namespace", answer.error);
  return answer.features;
}

}  // namespace soleroute::netrules
