// The controlling terminal, shared with the command: whose turn it is, and how it was set when we came.
// Used on one thread. SIGTTOU is blocked by the caller, or these calls would stop it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>

#include "base/fd.h"

namespace soleroute::gateway::jail {

class Terminal {
 public:
  // /dev/tty; where there is none, every call below does nothing.
  [[nodiscard]] static Terminal open();

  // The process group whose turn it is; 0 if none or unknown.
  [[nodiscard]] pid_t foreground() const;
  [[nodiscard]] bool ours() const;
  void give_to(pid_t group) const;

  // After the command has ended: a group that is no more, or was the command's, does not keep the terminal if it was
  // ours when we came. `killed`: the command had no chance to reset the modes, so they are put back.
  void finish(pid_t command_group, bool killed) const;

 private:
  base::Fd tty_;
  bool ours_at_first_ = false;
  std::optional<termios> modes_;
};

}  // namespace soleroute::gateway::jail
