// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/descendants.h"

#include <fmt/format.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "base/read_file.h"

namespace soleroute::gateway::jail {
namespace {

// Space-separated numbers; cut after the first few thousand, the rest come in the next round.
std::string children_list() {
  const auto text = base::read_file(fmt::format("/proc/self/task/{}/children", ::getpid()), 32768).value_or("");
  return text.substr(0, text.rfind(' ') == std::string::npos ? 0 : text.rfind(' '));
}

int kill_children() {
  const std::string list = children_list();
  int killed = 0;
  const char* at = list.c_str();
  for (;;) {
    char* next = nullptr;
    const long pid = std::strtol(at, &next, 10);
    if (next == at) return killed;
    if (::kill(static_cast<pid_t>(pid), SIGKILL) == 0) ++killed;
    at = next;
  }
}

}  // namespace

void kill_descendants() {
  for (;;) {
    const int killed = kill_children();
    // A child that was killed ends: this waits for one, and its children become ours.
    const pid_t pid = ::waitpid(-1, nullptr, killed > 0 ? 0 : WNOHANG);
    if (pid <= 0 && killed == 0) return;
  }
}

}  // namespace soleroute::gateway::jail
