// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/help_format.h"
#include "gateway/commands/man_page.h"
#include "gateway/commands/version.h"
#include "netrules/kernel.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

struct HelpOptions {
  std::string command;
  std::string man_folder;
};

int help(const CLI::App& program, const HelpOptions& options) {
  const std::string& name = options.command;
  if (!options.man_folder.empty()) {
    const auto written = write_man_pages(program, options.man_folder);
    return written ? kExitDone : report(written.error());
  }
  if (name.empty()) {
    fmt::print("{}", overview(program));
    return kExitDone;
  }
  std::vector<std::string_view> names;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) {
      fmt::print("{}", command->help("gateway"));
      return kExitDone;
    }
    names.push_back(command->get_name());
  }
  return report({.message = fmt::format("unknown command '{}'{}", base::shown(name), policy::did_you_mean(name, names)),
                 .kind = base::ErrorKind::kUsage});
}

void print_feature(std::string_view name, bool there) {
  fmt::print("{:<16} {}\n", name, there ? "yes" : "no");
}

int version(bool verbose) {
  fmt::print("gateway {}\n", version_and_commit());
  if (!verbose) return kExitDone;
  utsname system{};
  if (::uname(&system) == 0) fmt::print("kernel           {} ({})\n", system.release, system.machine);
  const auto features = netrules::probe_in_scratch_namespace();
  fmt::print("user namespaces  {}\n", features ? "yes" : "no: " + features.error().message);
  if (!features) return kExitDone;
  print_feature("nftables", features->inet_family && features->nat_redirect && features->reject && features->fib);
  print_feature("packet queue", features->native_queue || features->compat_queue);
  print_feature("IPv6", features->ipv6);
  return kExitDone;
}

}  // namespace

void add_help(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<HelpOptions>();
  CLI::App& command = add_command(program, invocation, "help", "show the commands, or the help page of one",
                                  "gateway help run", [&program, options] { return help(program, *options); });
  command.add_option("command", options->command, "command to describe")->type_name("COMMAND");
  command.add_option("--write-man", options->man_folder, "write all manual pages into this folder")
      ->type_name("DIR")
      ->group(kUnshownGroup);  // for the build
}

void add_version(CLI::App& program, Invocation& invocation) {
  const auto verbose = std::make_shared<bool>(false);
  CLI::App& command = add_command(program, invocation, "version", "show the version and the commit it was built from",
                                  "gateway version -v", [verbose] { return version(*verbose); });
  command.add_flag("-v,--verbose", *verbose, "show the kernel's version and features too");
}

}  // namespace soleroute::gateway::commands
