// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
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

struct UnguardOptions {
  std::string control = serve::kDefaultControlSocket;
  std::string format = "text";
};

enum class Removal { kDone, kNothingThere };

base::Result<Removal> remove_rules(const std::string& control) {
  const std::string table = netrules::Intent{}.table;
  SR_TRY(host::raise_permitted_capabilities());
  const auto kernel = netrules::make_kernel();
  SR_LET(exists, kernel->exists(table));
  if (!*exists) return Removal::kNothingThere;
  SR_TRY(check_unused(control));
  SR_TRY(kernel->remove(table));
  return Removal::kDone;
}

void print_text(Removal removal) {
  const std::string table = netrules::Intent{}.table;
  if (removal == Removal::kNothingThere) {
    return fmt::print("no nftables table inet {} here; nothing to remove\n", table);
  }
  fmt::print("removed nftables table inet {}: this network is no longer restricted\n", table);
  fmt::print(
      "Other settings of a gateway stay until you change them: the default route (--set-route), claimed addresses "
      "(--claim), and forwarding, which a router turns off (sysctl net.ipv4.ip_forward)\n");
}

int unguard(const UnguardOptions& options) {
  const auto removal = remove_rules(options.control);
  if (!removal) return report(removal.error());
  if (options.format == "json") {
    const nlohmann::ordered_json result{{"table", "inet " + netrules::Intent{}.table},
                                        {"removed", *removal == Removal::kDone}};
    fmt::print("{}\n", result.dump(2));
  } else {
    print_text(*removal);
  }
  return kExitDone;
}

}  // namespace

void add_unguard(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<UnguardOptions>();
  CLI::App& command =
      add_command(program, invocation, "unguard", "remove nftables rules that are left over in this network namespace",
                  "gateway unguard\n\nRefuses while a gateway or guard runs.", [options] { return unguard(*options); });
  add_control_option(command, options->control, "control socket of the gateway");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
