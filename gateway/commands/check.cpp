// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/standard_error.h"
#include "gateway/commands/command.h"
#include "gateway/commands/policy_input.h"

namespace soleroute::gateway::commands {
namespace {

struct CheckOptions {
  std::vector<std::string> positional;
  std::vector<std::string> policy_files;
  bool quiet = false;
  bool strict = false;
};

int check(const CheckOptions& options) {
  const auto policy = load_policy_or_default(options.positional.empty() ? options.policy_files : options.positional);
  if (!policy) return report(policy.error());
  if (!options.quiet) fmt::print("{}", (*policy)->describe());
  std::fflush(stdout);
  const auto warnings = (*policy)->warnings();
  for (const auto& warning : warnings) base::to_standard_error(fmt::format("warning: {}\n", warning));
  return options.strict && !warnings.empty() ? kExitNo : kExitDone;
}

}  // namespace

void add_check(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App& command = add_command(program, invocation, "check", "validate policy files and show what they allow",
                                  "gateway check policy.yaml", [options] { return check(*options); });
  command.add_option("file", options->positional, "policy files; later files override")->type_name("FILE");
  command.add_flag("-q,--quiet", options->quiet, "print only errors and warnings");
  command.add_flag("--strict", options->strict, "exit with status 1 if there are warnings");
  add_policy_option(command, options->policy_files);
}

}  // namespace soleroute::gateway::commands
