// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"
#include "gateway/host/capabilities.h"
#include "gateway/host/rule_watchers.h"
#include "gateway/serve/control_socket.h"
#include "netrules/kernel.h"
#include "netrules/plan.h"

namespace soleroute::gateway::commands {
namespace {

// A gateway or guard would put the rules back, and until then nothing would hold its agents.
base::Status check_unused(const std::string& control) {
  if (!serve::check_alone(control)) {
    return base::system_error(
        fmt::format("a gateway or guard runs here (control socket {}). Stop it first. Nothing was changed", control));
  }
  if (host::rules_are_watched()) {
    return base::system_error(
        "a program here listens for changes of nftables: a gateway or guard with another --control, or 'nft monitor'. "
        "Stop it first. Nothing was changed");
  }
  return {};
}

base::Status remove_rules(const std::string& control) {
  const std::string table = netrules::Intent{}.table;
  SR_TRY(host::raise_permitted_capabilities());
  const auto kernel = netrules::make_kernel();
  SR_LET(exists, kernel->exists(table));
  if (!*exists) {
    fmt::print("no nftables table inet {} here; nothing to remove\n", table);
    return {};
  }
  SR_TRY(check_unused(control));
  SR_TRY(kernel->remove(table));
  fmt::print("removed nftables table inet {}: this network is no longer restricted\n", table);
  fmt::print(
      "Other settings of a gateway stay until you change them: the default route (--set-route), claimed addresses "
      "(--claim), and forwarding, which a router turns off (sysctl net.ipv4.ip_forward)\n");
  return {};
}

}  // namespace

void add_unguard(CLI::App& program, Invocation& invocation) {
  const auto control = std::make_shared<std::string>(serve::kDefaultControlSocket);
  CLI::App& command =
      add_command(program, invocation, "unguard", "remove nftables rules that are left over in this network namespace",
                  "gateway unguard\n\nRefuses while a gateway or guard runs.", [control] {
                    const auto removed = remove_rules(*control);
                    return removed ? kExitDone : report(removed.error());
                  });
  add_control_option(command, *control, "control socket of the gateway");
}

}  // namespace soleroute::gateway::commands
