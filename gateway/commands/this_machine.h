// The question before rules are programmed: would they cut off the whole machine, and is that meant?
// Reads the calling thread's network namespace.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/result.h"

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

// --this-machine, GATEWAY_THIS_MACHINE.
void add_this_machine_option(CLI::App& command, bool& meant);

// kUsage in the machine's own network namespace, unless that is meant. Changes nothing.
[[nodiscard]] base::Status check_network(bool this_machine);

}  // namespace soleroute::gateway::commands
