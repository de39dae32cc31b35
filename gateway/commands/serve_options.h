// The options of serving as given on the command line, and their way to serve::ServeOptions.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/commands/upstream_options.h"
#include "gateway/serve/options.h"

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

inline constexpr int kMaxWorkers = 256;
inline constexpr std::string_view kUsualExplicitProxy = "auto";  // see parse_serve_options()

struct ServeArguments {
  std::vector<std::string> policy;
  std::vector<std::string> optional_policy{};  // further layers, of which only those that exist count
  std::vector<std::string> agent{};            // policy files of single agents
  std::string base_service{};                  // a service of the catalog below them
  std::string mode{};                          // empty: as the policy says
  std::string topology = "router";
  std::string inside;
  std::vector<std::string> claim;
  std::vector<std::string> resolver;
  std::vector<std::string> host_address{};
  std::vector<std::string> nat64{};
  UpstreamArguments upstream{};
  std::string control = serve::kDefaultControlSocket;
  std::string metrics;
  std::string explicit_proxy = std::string(kUsualExplicitProxy);
  std::string listen;
  bool reload_on_change = true;
  bool no_rules = false;
  bool close = false;         // program the closed rules and end
  bool this_machine = false;  // rules in the machine's own network are meant
  int workers = 0;
  std::string log = "normal";
  std::string log_format = "auto";
  std::string secrets_dir = secrets::kDefaultSecretsDirectory;
  std::string ca_dir;
  std::string ca_out;
  std::vector<std::string> trust;
  bool in_container = true;  // as stack_variables.h finds out: outside of one, a proxy is for this machine alone
  std::string ask{};         // as given: empty, "true" (alone) or a duration
  std::string ask_command{};
  std::string dry_run;  // empty: serve; "true" (given alone): text; "json"
};

// 1 to 65535; an error names the option.
[[nodiscard]] base::Result<std::uint16_t> parse_port(std::string_view option, const std::string& text);
// A port, or "off" for 0.
[[nodiscard]] base::Result<std::uint16_t> parse_explicit_proxy(const std::string& text);

struct ExplicitProxyPlace {
  std::optional<base::IpAddress> address;  // absent: not said
  std::uint16_t port = 0;                  // 0: off
};
// The same, or an address with a port: 127.0.0.1:8080, [::1]:8080.
[[nodiscard]] base::Result<ExplicitProxyPlace> parse_explicit_proxy_place(const std::string& text);

enum class AskVariables { kRead, kIgnored };
// --ask, --ask-command; with their variables, where these are read.
void add_ask_options(CLI::App& command, ServeArguments& to, AskVariables variables);

// Errors are kUsage and name the option.
[[nodiscard]] base::Result<serve::ServeOptions> parse_serve_options(const ServeArguments& arguments);

}  // namespace soleroute::gateway::commands
