// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/upstream_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "gateway/commands/command.h"
#include "gateway/commands/environment.h"
#include "gateway/jail/command_environment.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kOff = "off";
constexpr const char* kProxyVariable = "GATEWAY_UPSTREAM_PROXY";
constexpr std::array<const char*, 6> kFoundIn{"HTTPS_PROXY", "https_proxy", "ALL_PROXY",
                                              "all_proxy",   "HTTP_PROXY",  "http_proxy"};

base::Error prefixed(std::string_view option, base::Error error) {
  error.message = fmt::format("{}: {}", option, error.message);
  error.kind = base::ErrorKind::kUsage;
  return error;
}

std::string_view value_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

base::Status add_exceptions(const UpstreamArguments& arguments, flow::UpstreamProxy& proxy) {
  for (const std::string& text : arguments.direct) {
    if (const auto added = flow::add_direct(proxy, text); !added) {
      return std::unexpected(prefixed("--no-upstream-proxy", added.error()));
    }
  }
  return {};
}

// Not that of the environment, which other users do not see.
void warn_of_visible_password(const UpstreamArguments& arguments, const flow::UpstreamProxy& proxy) {
  if (proxy.password.empty() || variable_value(kProxyVariable) == arguments.proxy) return;
  warn("the password in --upstream-proxy is visible in the process list: use --upstream-proxy-password-file");
}

base::Result<FoundUpstream> find_in_environment(const UpstreamArguments& arguments, std::uint16_t port_inside) {
  FoundUpstream found;
  for (const char* variable : kFoundIn) {
    const std::string_view value = value_of(variable);
    if (value.empty() || jail::is_proxy_inside(value, port_inside)) continue;
    auto proxy = flow::parse_upstream_proxy(value);
    if (!proxy) {
      auto error = prefixed(variable, proxy.error());
      error.message += ". To connect directly: --upstream-proxy off";
      return std::unexpected(std::move(error));
    }
    const auto no_proxy = value_of("NO_PROXY").empty() ? value_of("no_proxy") : value_of("NO_PROXY");
    auto told = flow::add_no_proxy(*proxy, no_proxy);
    if (told.everything) return FoundUpstream{};
    SR_TRY(add_exceptions(arguments, *proxy));
    found.proxy = std::move(*proxy);
    found.variable = variable;
    found.skipped = std::move(told.skipped);
    return found;
  }
  return found;
}

}  // namespace

void add_upstream_options(CLI::App& command, UpstreamArguments& to, const std::string& fallback) {
  command
      .add_option("--upstream-proxy", to.proxy,
                  "reach the outside through this proxy: http, https or socks5h (default: " + fallback + ")")
      ->envname(kProxyVariable)
      ->type_name("URL|off");
  command.add_option("--upstream-proxy-password-file", to.password_file, "file with the password for that proxy")
      ->envname("GATEWAY_UPSTREAM_PROXY_PASSWORD_FILE")
      ->type_name("FILE");
  add_list_option(command, "--no-upstream-proxy", "GATEWAY_NO_UPSTREAM_PROXY", to.direct, "SUFFIX|CIDR",
                  "connect to these names and addresses without that proxy");
}

base::Result<std::optional<flow::UpstreamProxy>> parse_upstream(const UpstreamArguments& arguments) {
  if (arguments.proxy.empty() || arguments.proxy == kOff) {
    const bool alone = arguments.proxy.empty() && !arguments.password_file.empty();
    if (alone) return base::usage_error("--upstream-proxy-password-file needs --upstream-proxy");
    return std::nullopt;
  }
  auto proxy = flow::parse_upstream_proxy(arguments.proxy);
  if (!proxy) return std::unexpected(prefixed("--upstream-proxy", proxy.error()));
  SR_TRY(add_exceptions(arguments, *proxy));
  warn_of_visible_password(arguments, *proxy);
  return std::optional(std::move(*proxy));
}

base::Result<FoundUpstream> find_upstream(const UpstreamArguments& arguments, std::uint16_t port_inside) {
  if (arguments.proxy.empty()) {
    auto found = find_in_environment(arguments, port_inside);
    if (!found || found->proxy) return found;
  }
  SR_LET(proxy, parse_upstream(arguments));
  return FoundUpstream{.proxy = std::move(*proxy)};
}

}  // namespace soleroute::gateway::commands
