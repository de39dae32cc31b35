// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gateway/commands/agent_option.h"
#include "gateway/commands/command.h"
#include "gateway/commands/container_marks.h"
#include "gateway/commands/control_question.h"
#include "gateway/commands/serve_options.h"
#include "gateway/commands/serving_log.h"
#include "gateway/commands/stack_variables.h"
#include "gateway/commands/this_machine.h"
#include "gateway/commands/version.h"
#include "gateway/host/capabilities.h"
#include "gateway/serve/duration_option.h"
#include "gateway/serve/supervisor.h"
#include "policy/address_class.h"

namespace soleroute::gateway::commands {
namespace {

template <class T>
struct Named {
  std::string_view name;
  T value;
};

using netrules::Topology;

constexpr Named<Topology> named(Topology topology) {
  return {netrules::to_string(topology), topology};
}
constexpr std::array kTopologies{named(Topology::kRouter), named(Topology::kSidecar),
                                 Named{serve::kProxyTopology, Topology::kRouter}, named(Topology::kJail),
                                 named(Topology::kGuard)};
constexpr std::array kModes{Named{"enforce", policy::Mode::kEnforce}, Named{"observe", policy::Mode::kObserve}};
constexpr std::array kVerbosities{Named{"quiet", audit::Verbosity::kQuiet}, Named{"normal", audit::Verbosity::kNormal},
                                  Named{"debug", audit::Verbosity::kDebug}};

template <class T, std::size_t N>
base::Result<T> choose(std::string_view option, const std::string& text, const std::array<Named<T>, N>& choices) {
  std::string names;
  for (const auto& choice : choices) {
    if (choice.name == text) return choice.value;
    names += names.empty() ? "" : ", ";
    names += choice.name;
  }
  return base::usage_error(fmt::format("{}: '{}' is not one of {}", option, base::shown(text), names));
}

base::Error prefixed(std::string_view option, base::Error error) {
  error.message = fmt::format("{}: {}", option, error.message);
  error.kind = base::ErrorKind::kUsage;
  return error;
}

template <class T, class Parse>
base::Result<std::vector<T>> parse_all(std::string_view option, const std::vector<std::string>& texts, Parse parse) {
  std::vector<T> values;
  for (const std::string& text : texts) {
    auto value = parse(text);
    if (!value) return std::unexpected(prefixed(option, value.error()));
    values.push_back(std::move(*value));
  }
  return values;
}

base::Status parse_ports(const ServeArguments& arguments, serve::ServeOptions& options) {
  // Where programs share the network namespace with the gateway, the port is theirs unless it is asked for.
  const bool shared = arguments.topology == netrules::to_string(Topology::kSidecar);
  const std::string usual = shared ? "off" : std::to_string(serve::kDefaultExplicitProxyPort);
  SR_LET(proxy, parse_explicit_proxy_place(arguments.explicit_proxy == kUsualExplicitProxy ? usual
                                                                                           : arguments.explicit_proxy));
  options.explicit_proxy_port = proxy->port;
  options.explicit_proxy_address = proxy->address;
  const bool here_alone = arguments.topology == serve::kProxyTopology && !arguments.in_container;
  if (!proxy->address && here_alone) options.explicit_proxy_address = base::IpAddress::v4({127, 0, 0, 1});
  if (arguments.listen.empty()) return {};
  SR_LET(listen, parse_port("--listen", arguments.listen));
  options.listen_port = *listen;
  return {};
}

// Where a policy's host.gateway.internal is. No host is at an address that means every machine, or a cloud.
base::Result<base::IpAddress> parse_host_address(const std::string& text) {
  auto address = base::IpAddress::parse(text);
  if (!address) return address;
  if (policy::is_never_suggested(*address) && policy::address_class(*address) != "loopback") {
    return base::usage_error(fmt::format("{} is {}", text, policy::address_class(*address)));
  }
  return address->unmapped();
}

constexpr std::chrono::seconds kUsualAsk{60};
constexpr std::chrono::minutes kLongestAsk{10};  // by then every client has given up

base::Status parse_ask(const ServeArguments& arguments, serve::ServeOptions& options) {
  if (arguments.ask.empty() || arguments.ask == "false") {
    return arguments.ask_command.empty() ? base::Status{} : base::usage_error("--ask-command needs --ask");
  }
  options.ask = kUsualAsk;
  if (arguments.ask != "true") {
    SR_LET(ask, serve::parse_duration("--ask", arguments.ask));
    options.ask = *ask;
  }
  if (options.ask > kLongestAsk) return base::usage_error("--ask: at most 10m");
  options.ask_command = arguments.ask_command;
  return {};
}

base::Status parse_addresses(const ServeArguments& arguments, serve::ServeOptions& options) {
  for (const std::string& text : arguments.claim) {
    SR_LET(claim, parse_claim(text));
    options.claim.push_back(*claim);
  }
  if (std::ranges::count_if(options.claim, [](const auto& item) { return item.address.is_v4(); }) > 1 ||
      std::ranges::count_if(options.claim, [](const auto& item) { return item.address.is_v6(); }) > 1) {
    return base::usage_error("--claim: at most one address of each family");
  }
  auto resolvers = parse_all<dns::Upstream>("--resolver", arguments.resolver,
                                            [](const auto& text) { return dns::Upstream::parse(text); });
  if (!resolvers) return std::unexpected(resolvers.error());
  options.resolvers = std::move(*resolvers);
  SR_LET(host, parse_all<base::IpAddress>("--host-address", arguments.host_address, parse_host_address));
  options.host_addresses = std::move(*host);
  options.in_container = arguments.in_container;
  auto nat64 = parse_all<policy::Nat64Prefix>("--nat64", arguments.nat64, policy::Nat64Prefix::parse);
  if (!nat64) return std::unexpected(nat64.error());
  options.nat64 = std::move(*nat64);
  if (arguments.metrics.empty()) return {};
  const auto metrics = base::Endpoint::parse(arguments.metrics);
  if (!metrics) return std::unexpected(prefixed("--metrics", metrics.error()));
  options.metrics = *metrics;
  return {};
}

base::Status check_proxy_only(const serve::ServeOptions& options, bool dry_run) {
  if (!options.proxy_only) return {};
  if (dry_run) return base::usage_error("--topology proxy installs no rules; --dry-run has nothing to show");
  if (options.explicit_proxy_port == 0) return base::usage_error("--topology proxy needs --explicit-proxy [ADDR:]PORT");
  return {};
}

bool dry_run_wanted(const ServeArguments& arguments) {
  return !arguments.dry_run.empty();
}

base::Status check_close(const ServeArguments& arguments, const serve::ServeOptions& options) {
  if (!arguments.close) return {};
  if (options.topology != netrules::Topology::kSidecar) {
    return base::usage_error("--close needs --topology sidecar");
  }
  if (arguments.no_rules) return base::usage_error("--close and --no-rules exclude each other");
  if (dry_run_wanted(arguments)) return base::usage_error("--close and --dry-run exclude each other");
  return {};
}

// `work` is what the options ask for, with the capabilities that this process may have and with a log.
int with_log(const serve::ServeOptions& options, const std::string& format,
             base::Status (*work)(const serve::ServeOptions&, audit::DecisionLog&, audit::Counters&)) {
  if (const auto raised = host::raise_permitted_capabilities(); !raised) return report(raised.error());
  audit::Counters counters;
  const auto log = make_serving_log(format, options.log, counters);
  const auto done = work(options, *log, counters);
  return done ? kExitDone : report(done.error());
}

int serve_body(ServeArguments arguments) {
  if (auto applied = apply(stack_variables(), arguments); !applied) return report(applied.error());
  arguments.in_container = is_container(read_container_marks());
  const auto options = parse_serve_options(arguments);
  if (!options) return report(options.error());
  if (options->program_rules && !dry_run_wanted(arguments)) {
    if (const auto meant = check_network(arguments.this_machine); !meant) return report(meant.error());
  }
  if (arguments.close) return with_log(*options, arguments.log_format, serve::close_namespace);
  if (!dry_run_wanted(arguments)) return with_log(*options, arguments.log_format, serve::serve);
  if (arguments.dry_run != "json" && arguments.dry_run != "true") {
    return report({.message = "--dry-run takes no value but json: --dry-run=json", .kind = base::ErrorKind::kUsage});
  }
  return dry_run(*options, arguments.dry_run == "json" ? DryRunFormat::kJson : DryRunFormat::kText);
}

}  // namespace

base::Result<std::uint16_t> parse_port(std::string_view option, const std::string& text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
    return base::usage_error(fmt::format("{}: '{}' is not a port (1 to 65535)", option, base::shown(text)));
  }
  return port;
}

base::Result<std::uint16_t> parse_explicit_proxy(const std::string& text) {
  if (text == "off") return std::uint16_t{0};
  return parse_port("--explicit-proxy", text);
}

base::Result<ExplicitProxyPlace> parse_explicit_proxy_place(const std::string& text) {
  if (text.find(':') == std::string::npos) {
    SR_LET(port, parse_explicit_proxy(text));
    return ExplicitProxyPlace{.address = {}, .port = *port};
  }
  const auto place = base::Endpoint::parse(text);
  if (!place || place->port == 0) {
    return base::usage_error(
        fmt::format("--explicit-proxy: '{}' is not PORT, ADDR:PORT, [IPV6]:PORT or off", base::shown(text)));
  }
  return ExplicitProxyPlace{.address = place->address, .port = place->port};
}

base::Result<serve::ServeOptions> parse_serve_options(const ServeArguments& arguments) {
  serve::ServeOptions options;
  options.version = version_and_commit();
  options.policy_files = arguments.policy;
  options.optional_policy_files = arguments.optional_policy;
  SR_LET(agents, parse_agent_files(arguments.agent));
  options.agents = std::move(*agents);
  options.base_service = arguments.base_service;
  options.inside_interface = arguments.inside;
  options.control_socket = arguments.control;
  options.reload_on_change = arguments.reload_on_change;
  options.program_rules = !arguments.no_rules;
  options.workers = arguments.workers;
  options.secrets_directory = arguments.secrets_dir;
  SR_TRY(parse_ports(arguments, options));
  if (!arguments.mode.empty()) {
    SR_LET(mode, choose("--mode", arguments.mode, kModes));
    options.mode = *mode;
  }
  options.ca_directory = arguments.ca_dir;
  options.ca_out = arguments.ca_out;
  options.trust_files = arguments.trust;
  SR_LET(topology, choose("--topology", arguments.topology, kTopologies));
  options.topology = *topology;
  options.proxy_only = arguments.topology == serve::kProxyTopology;
  SR_TRY(check_proxy_only(options, dry_run_wanted(arguments)));
  if (options.proxy_only) options.program_rules = false;
  SR_TRY(check_close(arguments, options));
  const bool serves = *topology == netrules::Topology::kRouter || *topology == netrules::Topology::kSidecar;
  if (!serves && !dry_run_wanted(arguments)) {
    return base::usage_error(
        fmt::format("--topology {} needs --dry-run; to serve, use router, sidecar or proxy", arguments.topology));
  }
  SR_LET(verbosity, choose("--log", arguments.log, kVerbosities));
  options.log = *verbosity;
  SR_TRY(parse_ask(arguments, options));
  SR_TRY(parse_addresses(arguments, options));
  SR_LET(upstream, parse_upstream(arguments.upstream));
  options.upstream_proxy = std::move(*upstream);
  options.upstream_password_file = arguments.upstream.password_file;
  return options;
}

void add_ask_options(CLI::App& command, ServeArguments& to, AskVariables variables) {
  CLI::Option* ask =
      command.add_flag("--ask", to.ask, "hold denied requests until 'gateway watch' answers (--ask=TIME; alone: 60s)")
          ->type_name("TIME");
  CLI::Option* program = command
                             .add_option("--ask-command", to.ask_command,
                                         "with --ask: shell command that answers (once, for 15m, always, no)")
                             ->type_name("COMMAND");
  if (variables == AskVariables::kIgnored) return;
  ask->envname("GATEWAY_ASK");
  program->envname("GATEWAY_ASK_COMMAND");
}

// What is not about the network.
void add_running_options(CLI::App& program, ServeArguments& to) {
  program.add_option("--workers", to.workers, "worker threads (default: number of CPUs)")
      ->envname("GATEWAY_WORKERS")
      ->type_name("N")
      ->check(CLI::Range(1, kMaxWorkers).description(""));
  program.add_option("--log", to.log, "log level; quiet: denials only")
      ->capture_default_str()
      ->envname("GATEWAY_LOG")
      ->type_name("quiet|normal|debug");
  program.add_flag_callback("-q,--quiet", [&to] { to.log = "quiet"; }, "same as --log quiet");
  program.add_flag_callback("-v,--verbose", [&to] { to.log = "debug"; }, "same as --log debug");
  add_log_format_option(program, to.log_format);
  add_secrets_option(program, to.secrets_dir);
  program.add_flag("--dry-run", to.dry_run, "print the nftables rules and exit (--dry-run=json: as JSON)")
      ->type_name("");
}

void add_serve_options(CLI::App& program, ServeArguments& to) {
  add_policy_option(program, to.policy);
  program.add_option("--agent", to.agent, "policy file of one agent, known by its addresses (repeatable)")
      ->type_name("NAME=ADDR[,ADDR]:FILE")
      ->allow_extra_args(false);
  add_reload_on_change_option(program, to.reload_on_change);
  program.add_option("--topology", to.topology, "deployment mode; jail and guard only with --dry-run")
      ->capture_default_str()
      ->envname("GATEWAY_TOPOLOGY")
      ->type_name("router|sidecar|proxy");
  program.add_option("--mode", to.mode, "override the policy's mode (observe: log, do not block)")
      ->envname("GATEWAY_MODE")
      ->type_name("enforce|observe");
  program
      .add_option("--inside", to.inside,
                  "interface facing the agents (default: the one on the claimed address's subnet)")
      ->envname("GATEWAY_INSIDE")
      ->type_name("IFACE");
  add_list_option(program, "--claim", "GATEWAY_CLAIM", to.claim, "ADDR/PREFIX",
                  "address to claim as the agents' gateway once ready, one per family");
  add_list_option(program, "--resolver", "GATEWAY_RESOLVER", to.resolver, "[SUFFIX=][tls://]ADDR[#NAME][:PORT]",
                  "upstream DNS server, or the one for names below SUFFIX (default: from /etc/resolv.conf)");
  add_list_option(program, "--host-address", "GATEWAY_HOST_ADDRESS", to.host_address, "ADDR",
                  "address of host.gateway.internal (default: the container engine's host, or loopback)");
  add_list_option(program, "--nat64", "GATEWAY_NAT64", to.nat64, "PREFIX",
                  "prefix of this network's NAT64; the IPv4 address inside decides");
  add_upstream_options(program, to.upstream, "none");
  add_ca_option(program, to.ca_dir,
                "private directory of the CA (default: /var/lib/soleroute/ca for root, else "
                "~/.local/share/soleroute/ca)");
  program.add_option("--ca-out", to.ca_out, "write the CA certificate for agents to this directory (default: off)")
      ->envname("GATEWAY_CA_OUT")
      ->type_name("DIR");
  add_trust_option(program, to.trust, "PEM file of additional roots to trust in inspected hosts' certificates");
  add_control_option(program, to.control, "control socket for 'gateway status' and 'gateway reload'");
  add_ask_options(program, to, AskVariables::kRead);
  program.add_option("--metrics", to.metrics, "serve Prometheus metrics and health at this address (default: off)")
      ->envname("GATEWAY_METRICS")
      ->type_name("ADDR:PORT");
  program
      .add_option("--explicit-proxy", to.explicit_proxy,
                  "address and port of the explicit HTTP proxy (default: 8080; sidecar: off)")
      ->envname("GATEWAY_EXPLICIT_PROXY")
      ->type_name("[ADDR:]PORT|off");
  program.add_option("--listen", to.listen, "port for redirected connections (default: any free port)")
      ->envname("GATEWAY_LISTEN")
      ->type_name("PORT");
  program.add_flag("--no-rules", to.no_rules, "do not install nftables rules")->envname("GATEWAY_NO_RULES");
  program.add_flag("--close", to.close, "install the deny-all rules and exit (sidecar only)")->envname("GATEWAY_CLOSE");
  add_this_machine_option(program, to.this_machine);
  add_running_options(program, to);
}

void add_serve(CLI::App& program, Invocation& invocation) {
  const auto arguments = std::make_shared<ServeArguments>();
  CLI::App& command = add_command(program, invocation, "serve", "enforce the policy for a container, pod or network",
                                  "gateway serve --policy policy.yaml --claim 10.77.0.1/24\n"
                                  "  gateway serve --policy policy.yaml --topology sidecar\n"
                                  "  gateway serve --policy policy.yaml --dry-run | nft -c -f -\n\n"
                                  "The command name may be left out: gateway --claim 10.77.0.1/24",
                                  [arguments] { return serve_body(*arguments); });
  add_serve_options(command, *arguments);
  const auto unnamed = std::make_shared<ServeArguments>();
  add_serve_options(program, *unnamed);
  add_colour_option(program);
  invocation.serve = [unnamed] { return serve_body(*unnamed); };
}

}  // namespace soleroute::gateway::commands
