// `gateway watch` on a terminal: rows as decisions are made, and keys.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>

#include "gateway/commands/watch_source.h"
#include "gateway/watch/terminal.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {

struct WatchScreenOptions {
  bool denied = false;
  std::shared_ptr<const policy::Policy> policy{};  // for the lines that would allow a denial
};

// Until a key or a signal ends it; the exit status.
int watch_on_screen(WatchSource source, watch::Terminal& terminal, WatchScreenOptions options);

}  // namespace soleroute::gateway::commands
