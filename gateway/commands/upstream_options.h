// The options of the upstream proxy, for serving, `run` and `doctor`, and the variables that `run` takes it from.
// Plain values; reads the environment where that is said.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/flow/upstream_proxy.h"

namespace CLI {
class App;
}  // namespace CLI

namespace soleroute::gateway::commands {

struct UpstreamArguments {
  std::string proxy{};  // as given: empty, "off" or a URL
  std::string password_file{};
  std::vector<std::string> direct{};
};

// `fallback`: how help ends the line of the proxy itself.
void add_upstream_options(CLI::App& command, UpstreamArguments& to, const std::string& fallback);

// Nothing: there is none.
[[nodiscard]] base::Result<std::optional<flow::UpstreamProxy>> parse_upstream(const UpstreamArguments& arguments);

struct FoundUpstream {
  std::optional<flow::UpstreamProxy> proxy{};
  std::string variable{};              // that it was taken from; empty: an option
  std::vector<std::string> skipped{};  // entries of NO_PROXY
};
// The same, or where no option is given the proxy of the environment (HTTPS_PROXY, ALL_PROXY, HTTP_PROXY, NO_PROXY, in
// either case of letters). `port_inside`: of the jail's explicit proxy, which such a variable may mean; 0: there is
// none.
[[nodiscard]] base::Result<FoundUpstream> find_upstream(const UpstreamArguments& arguments, std::uint16_t port_inside);

}  // namespace soleroute::gateway::commands
