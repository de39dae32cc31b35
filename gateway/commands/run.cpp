// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/policy_suggestion.h"
#include "gateway/commands/serve_options.h"
#include "gateway/jail/jail.h"
#include "gateway/serve/allow_layer.h"

namespace soleroute::gateway::commands {
namespace {

struct RunArguments {
  ServeArguments serve;  // those that make sense for one command
  std::vector<std::string> allow;
  std::vector<std::string> unix_sockets;
  std::vector<std::string> host_ports;
  std::vector<std::string> publish;
  std::string decisions;
  std::string save;
  bool observe = false;
  std::string summary;  // as given: empty, "true" (alone) or a name
  bool no_summary = false;
  std::string summary_file;
  std::string summary_format;
};

template <class T>
struct Choice {
  std::string_view name;
  T value;
};
constexpr std::array kSummaries{Choice{"on-denial", jail::Summary::kOnDenial}, Choice{"always", jail::Summary::kAlways},
                                Choice{"never", jail::Summary::kNever}};
constexpr std::array kFormats{Choice{"text", jail::SummaryFormat::kText}, Choice{"md", jail::SummaryFormat::kMarkdown},
                              Choice{"json", jail::SummaryFormat::kJson}};

template <class T, std::size_t N>
base::Result<T> pick(std::string_view option, std::string_view text, const std::array<Choice<T>, N>& choices) {
  std::vector<std::string_view> names;
  for (const auto& choice : choices) {
    if (choice.name == text) return choice.value;
    names.push_back(choice.name);
  }
  return base::usage_error(fmt::format("{}: '{}' is not one of {}", option, base::shown(text), fmt::join(names, ", ")));
}

base::Result<jail::Summary> summary_of(const RunArguments& arguments) {
  if (arguments.no_summary) return jail::Summary::kNever;
  if (arguments.summary.empty()) return jail::Summary::kOnDenial;
  return pick("--summary", arguments.summary == "true" ? "always" : arguments.summary, kSummaries);
}

// Not given: as the file's name says.
base::Result<jail::SummaryFormat> format_of(const RunArguments& arguments) {
  if (!arguments.summary_format.empty()) return pick("--summary-format", arguments.summary_format, kFormats);
  if (arguments.summary_file.ends_with(".md")) return jail::SummaryFormat::kMarkdown;
  return arguments.summary_file.ends_with(".json") ? jail::SummaryFormat::kJson : jail::SummaryFormat::kText;
}

base::Result<std::optional<policy::Mode>> mode_of(const RunArguments& arguments, const serve::ServeOptions& serve) {
  if (!arguments.observe) return serve.mode;
  if (serve.mode == policy::Mode::kEnforce && !arguments.serve.mode.empty()) {
    return base::usage_error("--observe and --mode enforce contradict each other: give one of them");
  }
  return policy::Mode::kObserve;
}

constexpr std::string_view kLearnedHeader =
    "# Written by 'gateway run --save': what the command used and the policy did not allow.\n"
    "# Read it before you use it: it says what was tried, not what should be allowed.\n";

// Collects on the workers' threads.
struct Learned {
  std::mutex mutex;
  Refusals refusals;
};

jail::PolicyLearner make_learner(const std::string& allowed) {
  const auto learned = std::make_shared<Learned>();
  jail::PolicyLearner learner;
  learner.take = [learned](const audit::DecisionRecord& record) {
    const std::lock_guard lock(learned->mutex);
    learned->refusals.add(record);
  };
  learner.text = [learned, allowed](const std::vector<policy::PolicySource>& layers) -> base::Result<std::string> {
    const std::lock_guard lock(learned->mutex);
    SR_LET(suggestion, suggest(learned->refusals, layers));
    const std::string lines = serve::merged_lines(allowed, suggestion->yaml);
    return fmt::format("{}{}", kLearnedHeader, lines.empty() ? "# Nothing was denied.\n" : lines);
  };
  return learner;
}

base::Result<std::vector<jail::PublishedPort>> published_ports(const std::vector<std::string>& texts) {
  std::vector<jail::PublishedPort> ports;
  for (const std::string& text : texts) {
    SR_LET(port, jail::parse_published_port(text));
    ports.push_back(*port);
  }
  return ports;
}

// The proxy is found in other places too, and read once.
ServeArguments without_upstream(ServeArguments arguments) {
  arguments.upstream = {};
  return arguments;
}

base::Result<jail::JailOptions> jail_options(const RunArguments& arguments, std::vector<std::string> command) {
  SR_LET(serve, parse_serve_options(without_upstream(arguments.serve)));
  SR_LET(upstream, find_upstream(arguments.serve.upstream, serve->explicit_proxy_port));
  SR_LET(summary, summary_of(arguments));
  SR_LET(format, format_of(arguments));
  SR_LET(mode, mode_of(arguments, *serve));
  SR_LET(allowed, serve::allow_layer(arguments.allow));
  SR_LET(host_ports, serve::host_port_layer(arguments.host_ports));
  SR_LET(published, published_ports(arguments.publish));
  jail::JailOptions options{.command = std::move(command),
                            .policy_files = serve->policy_files,
                            .resolvers = serve->resolvers,
                            .nat64 = serve->nat64,
                            .trust_files = serve->trust_files,
                            .ca_directory = serve->ca_directory,
                            .unix_sockets = arguments.unix_sockets,
                            .decisions_file = arguments.decisions,
                            .explicit_proxy_port = serve->explicit_proxy_port,
                            .workers = serve->workers,
                            .summary = *summary,
                            .summary_format = *format,
                            .colour = use_colour(STDERR_FILENO),
                            .log = serve->log,
                            .secrets_directory = serve->secrets_directory,
                            .allowed = serve::merged_lines(*allowed, *host_ports),
                            .mode = *mode,
                            .summary_file = arguments.summary_file,
                            .published = std::move(*published),
                            .save_file = arguments.save,
                            .upstream_proxy = std::move(upstream->proxy),
                            .upstream_password_file = arguments.serve.upstream.password_file,
                            .upstream_variable = std::move(upstream->variable),
                            .version = serve->version,
                            .ask = serve->ask,
                            .ask_command = serve->ask_command,
                            .skipped_exceptions = std::move(upstream->skipped)};
  if (!options.save_file.empty()) options.learner = make_learner(options.allowed);
  return options;
}

int run_body(const RunArguments& arguments, std::vector<std::string> command) {
  if (command.empty()) {
    return report({.message = "missing command to run\nTry 'gateway run CMD ARGS', or 'gateway run --help'.",
                   .kind = base::ErrorKind::kUsage});
  }
  const auto options = jail_options(arguments, std::move(command));
  if (!options) return report(options.error());
  const auto status = jail::run_in_jail(*options);
  return status ? *status : report(status.error());
}

void add_policy_options(CLI::App& command, RunArguments& to) {
  add_policy_option(command, to.serve.policy);
  // What widens the policy is read from the command line alone: an earlier step of a job may have set a variable.
  command.add_option("--allow", to.allow, "allow this host, *.host, HOST:PORT, URL or service as well (repeatable)")
      ->type_name("HOST|SERVICE")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  command
      .add_option("--host-port", to.host_ports,
                  "allow this TCP port of this machine, inside as host.gateway.internal (repeatable)")
      ->type_name("PORT")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  CLI::Option* mode =
      command.add_option("--mode", to.serve.mode, "override the policy's mode (observe: log, do not block)")
          ->type_name("enforce|observe");
  command.add_flag("--observe", to.observe, "same as --mode observe")->excludes(mode);
  command.add_option("--save", to.save, "write the lines that allow what was denied (or observed) to a new file")
      ->type_name("FILE");
}

void add_serving_options(CLI::App& command, ServeArguments& to) {
  add_list_option(command, "--resolver", "GATEWAY_RESOLVER", to.resolver, "[SUFFIX=][tls://]ADDR[#NAME][:PORT]",
                  "upstream DNS server (default: from /etc/resolv.conf)");
  add_list_option(command, "--nat64", "GATEWAY_NAT64", to.nat64, "PREFIX",
                  "prefix of this network's NAT64; the IPv4 address inside decides");
  add_upstream_options(command, to.upstream, "HTTPS_PROXY");
  add_ca_option(command, to.ca_dir, "directory of the CA (default: a new CA for each run, in memory)");
  add_trust_option(command, to.trust, "PEM file of additional roots to trust, inside and outside");
  to.explicit_proxy = "off";
  command.add_option("--explicit-proxy", to.explicit_proxy, "port of the explicit HTTP proxy inside")
      ->capture_default_str()
      ->envname("GATEWAY_EXPLICIT_PROXY")
      ->type_name("PORT|off");
  command.add_option("--workers", to.workers, "worker threads (default: number of CPUs, at most 4)")
      ->envname("GATEWAY_WORKERS")
      ->type_name("N")
      ->check(CLI::Range(1, jail::kMaxJailWorkers));
  add_secrets_option(command, to.secrets_dir);
}

void add_output_options(CLI::App& command, RunArguments& to) {
  command.add_option("--decisions", to.decisions, "append each decision to this file as a line of JSON")
      ->envname("GATEWAY_DECISIONS")
      ->type_name("FILE");
  command.add_option("--log", to.serve.log, "what --decisions writes; quiet: denials only")
      ->capture_default_str()
      ->envname("GATEWAY_LOG")
      ->type_name("quiet|normal|debug");
  CLI::Option* summary =
      command
          .add_flag("--summary", to.summary,
                    "print a summary at the end: --summary=on-denial|always|never (default: on-denial; alone: always)")
          ->envname("GATEWAY_SUMMARY")
          ->type_name("on-denial|always|never");
  command.add_flag("-q,--quiet,--no-summary", to.no_summary, "same as --summary=never")->excludes(summary);
  command.add_option("--summary-file", to.summary_file, "write the summary to this file as well")
      ->envname("GATEWAY_SUMMARY_FILE")
      ->type_name("FILE");
  command
      .add_option("--summary-format", to.summary_format, "format of the summary (default: by the file's name, or text)")
      ->envname("GATEWAY_SUMMARY_FORMAT")
      ->type_name("text|md|json");
}

}  // namespace

void add_run(CLI::App& program, Invocation& invocation) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App& command = add_command(
      program, invocation, "run", "run one command that can reach only what the policy allows",
      "gateway run --policy policy.yaml npm install\n"
      "  gateway run --allow github.com --allow npm npm ci\n"
      "  gateway run --observe --save policy.yaml npm ci\n\n"
      "The first argument that is not an option begins the command; '--' before it is optional. Without --policy: "
      ".devcontainer/policy.yaml or policy.yaml in this directory; without either, all network access is blocked. The "
      "command runs as you, without privileges. Its exit status is passed on (128+N: ended by signal N).",
      [arguments, &invocation] { return run_body(*arguments, invocation.jailed_command); });
  add_policy_options(command, *arguments);
  add_serving_options(command, arguments->serve);
  add_list_option(command, "--unix-socket", "GATEWAY_UNIX_SOCKET", arguments->unix_sockets, "PATH",
                  "allow access to this Unix socket (all others are blocked)");
  // As --allow, from the command line alone.
  command
      .add_option("--publish", arguments->publish,
                  "let this machine reach a server of the command (default address: 127.0.0.1; repeatable)")
      ->type_name("[[ADDR:]HOSTPORT:]PORT")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  // From the command line alone, too: what an earlier step sets must not answer.
  add_ask_options(command, arguments->serve, AskVariables::kIgnored);
  add_output_options(command, *arguments);
}

}  // namespace soleroute::gateway::commands
