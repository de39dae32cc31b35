// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/commands/command.h"
#include "gateway/commands/serve_options.h"
#include "gateway/jail/jail.h"

namespace soleroute::gateway::commands {
namespace {

struct RunArguments {
  ServeArguments serve;  // those that make sense for one command
  std::vector<std::string> unix_sockets;
  std::string decisions;
  bool summary = false;
  bool no_summary = false;
};

jail::Summary summary_of(const RunArguments& arguments) {
  if (arguments.no_summary) return jail::Summary::kNever;
  return arguments.summary ? jail::Summary::kAlways : jail::Summary::kOnTerminal;
}

int run_body(const RunArguments& arguments, std::vector<std::string> command) {
  if (command.empty()) {
    return report({.message = "missing command to run\nTry 'gateway run CMD ARGS', or 'gateway run --help'.",
                   .kind = base::ErrorKind::kUsage});
  }
  const auto serve = parse_serve_options(arguments.serve);
  if (!serve) return report(serve.error());
  const jail::JailOptions options{.command = std::move(command),
                                  .policy_files = serve->policy_files,
                                  .resolvers = serve->resolvers,
                                  .trust_files = serve->trust_files,
                                  .ca_directory = serve->ca_directory,
                                  .unix_sockets = arguments.unix_sockets,
                                  .decisions_file = arguments.decisions,
                                  .explicit_proxy_port = serve->explicit_proxy_port,
                                  .workers = serve->workers,
                                  .summary = summary_of(arguments),
                                  .colour = use_colour(STDERR_FILENO),
                                  .log = serve->log,
                                  .secrets_directory = serve->secrets_directory};
  const auto status = jail::run_in_jail(options);
  return status ? *status : report(status.error());
}

void add_serving_options(CLI::App& command, ServeArguments& to) {
  add_policy_option(command, to.policy);
  add_list_option(command, "--resolver", "GATEWAY_RESOLVER", to.resolver, "ADDR[:PORT]",
                  "upstream DNS server (default: from /etc/resolv.conf)");
  add_ca_option(command, to.ca_dir, "directory of the CA (default: a new CA for each run, in memory)");
  add_trust_option(command, to.trust, "PEM file of additional roots to trust, inside and outside");
  command.add_option("--explicit-proxy", to.explicit_proxy, "port of the explicit HTTP proxy inside")
      ->capture_default_str()
      ->envname("GATEWAY_EXPLICIT_PROXY")
      ->type_name("PORT|off");
  command.add_option("--workers", to.workers, "worker threads (default: number of CPUs, at most 4)")
      ->envname("GATEWAY_WORKERS")
      ->type_name("N")
      ->check(CLI::Range(1, jail::kMaxJailWorkers));
  command.add_option("--log", to.log, "what --decisions writes; quiet: denials only")
      ->capture_default_str()
      ->envname("GATEWAY_LOG")
      ->type_name("quiet|normal|debug");
  add_secrets_option(command, to.secrets_dir);
}

}  // namespace

void add_run(CLI::App& program, Invocation& invocation) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App& command = add_command(
      program, invocation, "run", "run one command that can reach only what the policy allows",
      "gateway run --policy policy.yaml npm install\n\n"
      "The first argument that is not an option begins the command; '--' before it is optional. Without --policy: "
      ".devcontainer/policy.yaml or policy.yaml in this directory; without either, all network access is blocked. The "
      "command runs as you, without privileges. Its exit status is passed on (128+N: ended by signal N).",
      [arguments, &invocation] { return run_body(*arguments, invocation.jailed_command); });
  add_serving_options(command, arguments->serve);
  add_list_option(command, "--unix-socket", "GATEWAY_UNIX_SOCKET", arguments->unix_sockets, "PATH",
                  "allow access to this Unix socket (all others are blocked)");
  command.add_option("--decisions", arguments->decisions, "append each decision to this file as a line of JSON")
      ->envname("GATEWAY_DECISIONS")
      ->type_name("FILE");
  CLI::Option* summary = command.add_flag("--summary", arguments->summary, "always print a summary");
  command.add_flag("--no-summary", arguments->no_summary, "never print a summary")->excludes(summary);
}

}  // namespace soleroute::gateway::commands
