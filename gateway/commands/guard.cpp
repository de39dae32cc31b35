// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/guard.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"
#include "gateway/commands/serve_options.h"
#include "gateway/commands/serving_log.h"
#include "gateway/commands/this_machine.h"
#include "gateway/commands/version.h"
#include "gateway/host/capabilities.h"

namespace soleroute::gateway::commands {
namespace {

struct GuardOptions {
  std::vector<std::string> gateway;
  std::vector<std::string> policy;
  std::vector<std::string> publish;
  bool reload_on_change = true;
  bool set_route = false;
  bool this_machine = false;
  std::string log_format = kDefaultLogFormat;
  std::string explicit_proxy = std::to_string(serve::kDefaultExplicitProxyPort);
  std::string control = serve::kDefaultControlSocket;
};

base::Result<serve::GuardOptions> parse(const GuardOptions& given) {
  serve::GuardOptions options;
  options.version = version_and_commit();
  options.policy_files = given.policy;
  options.reload_on_change = given.reload_on_change;
  options.set_route = given.set_route;
  options.control_socket = given.control;
  SR_LET(port, parse_explicit_proxy(given.explicit_proxy));
  options.explicit_proxy_port = *port;
  for (const std::string& text : given.publish) {
    SR_LET(published, parse_port("--publish", text));
    options.published_ports.push_back(*published);
  }
  for (const std::string& text : given.gateway) {
    const auto address = base::IpAddress::parse(text);
    if (!address) return base::usage_error("--gateway: " + address.error().message);
    const bool again = std::ranges::any_of(
        options.gateways, [&](const base::IpAddress& other) { return other.family() == address->family(); });
    if (again) return base::usage_error("--gateway: at most one address of each family");
    options.gateways.push_back(*address);
  }
  if (options.gateways.empty()) {
    return base::usage_error("missing --gateway ADDR (the gateway's claimed address)");
  }
  return options;
}

int guard(const GuardOptions& given) {
  const auto options = parse(given);
  if (!options) return report(options.error());
  if (const auto meant = check_network(given.this_machine); !meant) return report(meant.error());
  if (const auto raised = host::raise_permitted_capabilities(); !raised) return report(raised.error());
  audit::Counters counters;
  const auto log = make_serving_log(given.log_format, audit::Verbosity::kNormal, counters);
  const auto guarded = serve::guard(*options, *log, counters);
  return guarded ? kExitDone : report(guarded.error());
}

}  // namespace

void add_guard(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<GuardOptions>();
  CLI::App& command =
      add_command(program, invocation, "guard", "lock this network namespace so that it can only reach the gateway",
                  "gateway guard --gateway 10.77.0.2", [options] { return guard(*options); });
  add_list_option(command, "--gateway", "GATEWAY_GUARD_GATEWAY", options->gateway, "ADDR",
                  "claimed address of the gateway, one per family");
  add_policy_option(command, options->policy);
  add_reload_on_change_option(command, options->reload_on_change);
  command
      .add_flag("--set-route", options->set_route, "set the default route to the gateway (default: left to the engine)")
      ->envname("GATEWAY_GUARD_SET_ROUTE");
  command.add_option("--explicit-proxy", options->explicit_proxy, "port of the explicit HTTP proxy")
      ->capture_default_str()
      ->envname("GATEWAY_EXPLICIT_PROXY")
      ->type_name("PORT|off");
  add_list_option(command, "--publish", "GATEWAY_GUARD_PUBLISH", options->publish, "PORT",
                  "accept connections from outside to this TCP port of the agent");
  add_this_machine_option(command, options->this_machine);
  add_log_format_option(command, options->log_format);
  add_control_option(command, options->control, "control socket for 'gateway status' and 'gateway reload'");
}

}  // namespace soleroute::gateway::commands
