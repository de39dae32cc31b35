// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/this_machine.h"

#include <CLI/CLI.hpp>

#include "gateway/host/machine_network.h"

namespace soleroute::gateway::commands {

void add_this_machine_option(CLI::App& command, bool& meant) {
  command.add_flag("--this-machine", meant, "allow rules in the machine's own network, which block the whole machine")
      ->envname("GATEWAY_THIS_MACHINE");
}

base::Status check_network(bool this_machine) {
  if (this_machine || !host::is_machine_network(host::gather_network_facts())) return {};
  return base::usage_error(
      "this is the machine's own network, not a container's: the rules would block the whole machine, and stay after "
      "exit. Nothing was changed.\n"
      "To sandbox one command: gateway run -- CMD. To use this machine as a gateway on purpose: --this-machine.");
}

}  // namespace soleroute::gateway::commands
