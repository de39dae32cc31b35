// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <memory>

#include "base/standard_error.h"
#include "gateway/commands/command.h"
#include "gateway/host/lost_network.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::time_t kLookEverySeconds = 2;

struct Options {
  bool while_connected = false;
};

void reap() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

int pause_while_connected(const sigset_t& signals) {
  host::NetworkWatch network;
  while (network.look() != host::NetworkPresence::kReplaced) {
    const timespec limit{.tv_sec = kLookEverySeconds, .tv_nsec = 0};
    const int signal = ::sigtimedwait(&signals, nullptr, &limit);
    if (signal == SIGTERM || signal == SIGINT) return kExitDone;
    if (signal == SIGCHLD) reap();
  }
  base::to_standard_error(fmt::format("gateway: {}\n", host::kNetworkReplaced));
  return kExitNo;
}

// As PID 1 a process gets no signal that it does not wait for or handle, and inherits what others leave behind.
int pause(const Options& options) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) ::sigaddset(&signals, signal);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0)
    return report(base::errno_error("cannot block signals").error());
  if (options.while_connected) return pause_while_connected(signals);
  for (;;) {
    const int signal = ::sigwaitinfo(&signals, nullptr);
    if (signal == SIGTERM || signal == SIGINT) return kExitDone;
    if (signal == SIGCHLD) reap();
  }
}

}  // namespace

void add_pause(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      program, invocation, "pause", "keep this network namespace open for containers that join it",
      "gateway pause\n\nDoes nothing else, until SIGTERM or SIGINT.", [options] { return pause(*options); });
  command.add_flag("--while-connected", options->while_connected,
                   "exit with status 1 if the container that owns the namespace was restarted without this one");
}

}  // namespace soleroute::gateway::commands
