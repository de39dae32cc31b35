// What a program inherits besides its identity: signals, descriptors, arguments. Kept so that the command starts as if
// the shell had started it.
// Changes the calling process; used before any thread is started.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::jail {

// The mask and the dispositions that this process was started with, as far as a jail changes them.
struct SignalState {
  sigset_t mask{};
  bool child_ignored = false;  // SIGCHLD: ignored, waitpid(2) would find nobody
  bool pipe_ignored = false;
};

// All but those by which a process says that it is broken.
[[nodiscard]] sigset_t blocked_signals();
// Blocks them and makes SIGCHLD and SIGPIPE harmless to us; returns what it was before.
[[nodiscard]] base::Result<SignalState> take_signals();
// Back to that, just before exec.
[[nodiscard]] base::Status restore_signals(const SignalState& state);

// Descriptors 0 to 2 that are closed are opened on /dev/null, lest a socket gets such a number.
[[nodiscard]] base::Status fill_standard_descriptors();
// `fd` becomes /dev/null: whoever waits for the end of that stream waits for the command alone.
[[nodiscard]] base::Status detach_descriptor(int fd);
// Every descriptor from 3 on closes at exec. An inherited socket would be a cable.
[[nodiscard]] base::Status close_on_exec_from_three();
// Closes every descriptor from 3 on but these; -1 is none.
void close_all_but(int keep, int keep_too = -1);

// execvp(3) with this environment, PATH taken from it. Returns only on failure: the errno.
[[nodiscard]] int execute(const std::vector<std::string>& command, const std::vector<std::string>& environment);

// The calling process's environment, "NAME=value" each.
[[nodiscard]] std::vector<std::string> current_environment();

}  // namespace soleroute::gateway::jail
