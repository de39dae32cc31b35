// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace soleroute::gateway::jail {
namespace {

bool group_exists(pid_t group) {
  return ::kill(-group, 0) == 0 || errno != ESRCH;
}

}  // namespace

Terminal Terminal::open() {
  Terminal terminal;
  terminal.tty_ = base::Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal.tty_) return terminal;
  terminal.ours_at_first_ = terminal.ours();
  termios modes{};
  if (terminal.ours_at_first_ && ::tcgetattr(terminal.tty_.get(), &modes) == 0) terminal.modes_ = modes;
  return terminal;
}

pid_t Terminal::foreground() const {
  if (!tty_) return 0;
  const pid_t group = ::tcgetpgrp(tty_.get());
  return group < 0 ? 0 : group;
}

bool Terminal::ours() const {
  return tty_ && foreground() == ::getpgrp();
}

void Terminal::give_to(pid_t group) const {
  // Failure leaves the terminal where it is: the group is gone, or of another session.
  if (tty_ && group > 0) static_cast<void>(::tcsetpgrp(tty_.get(), group));
}

void Terminal::finish(pid_t command_group, bool killed) const {
  if (!tty_ || !ours_at_first_) return;
  const pid_t now = foreground();
  if (now == 0 || now == command_group || !group_exists(now)) give_to(::getpgrp());
  if (killed && modes_ && ours()) static_cast<void>(::tcsetattr(tty_.get(), TCSADRAIN, &*modes_));
}

}  // namespace soleroute::gateway::jail
