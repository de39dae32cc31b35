// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/command_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "gateway/flow/upstream_proxy.h"
#include "policy/address_class.h"

namespace soleroute::gateway::jail {
namespace {

// In lower case. Package managers read their configuration from variables too.
constexpr std::array<std::string_view, 20> kProxyVariables{"all_proxy",
                                                           "bundle_http_proxy",
                                                           "bundle_https_proxy",
                                                           "cargo_http_proxy",
                                                           "ftp_proxy",
                                                           "global_agent_http_proxy",
                                                           "global_agent_https_proxy",
                                                           "grpc_proxy",
                                                           "http_proxy",
                                                           "https_proxy",
                                                           "npm_config_http_proxy",
                                                           "npm_config_https_proxy",
                                                           "npm_config_proxy",
                                                           "pip_proxy",
                                                           "rsync_proxy",
                                                           "socks_proxy",
                                                           "ws_proxy",
                                                           "wss_proxy",
                                                           "yarn_http_proxy",
                                                           "yarn_https_proxy"};
constexpr std::string_view kUpstreamProxy = "_UPSTREAM_PROXY";
constexpr std::string_view kUpstreamPasswordFile = "_UPSTREAM_PROXY_PASSWORD_FILE";
constexpr std::string_view kGitKey = "GIT_CONFIG_KEY_";
constexpr std::string_view kGitValue = "GIT_CONFIG_VALUE_";

std::string name_of(std::string_view entry) {
  return std::string(entry.substr(0, entry.find('=')));
}

std::string_view value_in(std::string_view entry) {
  return entry.substr(std::min(entry.find('='), entry.size() - 1) + 1);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), base::lower);
  return out;
}

bool names_proxy(const std::string& entry) {
  return std::ranges::find(kProxyVariables, lowered(name_of(entry))) != kProxyVariables.end();
}

bool is_of_the_gateway(const std::string& entry) {
  const std::string name = name_of(entry);
  const auto is = [&name](std::string_view prefix) {
    return name.starts_with(prefix) &&
           (name.substr(prefix.size()) == kUpstreamProxy || name.substr(prefix.size()) == kUpstreamPasswordFile);
  };
  return is("GATEWAY") || is("SOLEROUTE");
}

// Git's settings http.proxy, http.URL.proxy and remote.NAME.proxy, numbered in the environment: an empty one is none.
// The numbers of those among `callers`.
std::vector<std::string> git_proxies(const std::vector<std::string>& callers) {
  std::vector<std::string> numbers;
  for (const std::string_view entry : callers) {
    if (!entry.starts_with(kGitKey) || !lowered(value_in(entry)).ends_with(".proxy")) continue;
    numbers.push_back(name_of(entry).substr(kGitKey.size()));
  }
  return numbers;
}

bool is_git_value_of(const std::string& entry, const std::vector<std::string>& numbers) {
  const std::string name = name_of(entry);
  return name.starts_with(kGitValue) && std::ranges::find(numbers, name.substr(kGitValue.size())) != numbers.end();
}

void close_file(const std::string& entry, CommandEnvironment& out) {
  const std::string name = name_of(entry);
  const std::string closed = fmt::format("{}=/dev/null", name);
  const bool named_one = entry.size() > name.size() + 1;
  if (named_one && entry != closed) out.closed_files.push_back(name);
  out.variables.push_back(named_one ? closed : entry);
}

void replace_proxy(std::string entry, std::string_view proxy_inside, CommandEnvironment& out) {
  const std::string name = name_of(entry);
  const auto value = value_in(entry);
  if (proxy_inside.empty()) {
    if (!value.empty()) out.ignored_proxies.push_back(name);
    return;
  }
  const auto inside = flow::parse_upstream_proxy(proxy_inside);
  const bool meant = value.empty() || (inside && is_proxy_inside(value, inside->port));
  if (!meant) out.changed_proxies.push_back(name);
  out.variables.push_back(meant ? std::move(entry) : fmt::format("{}={}", name, proxy_inside));
}

}  // namespace

bool is_proxy_inside(std::string_view value, std::uint16_t port) {
  if (port == 0) return false;
  const auto proxy = flow::parse_upstream_proxy(value);
  if (!proxy || proxy->port != port) return false;
  if (!proxy->name) return policy::address_class(proxy->address) == "loopback";
  return proxy->name->text() == "localhost" || proxy->name->text() == "gateway.internal";
}

CommandEnvironment command_environment(std::vector<std::string> callers, std::string_view proxy_inside,
                                       std::span<const std::string_view> closed) {
  CommandEnvironment out;
  const std::string page_name = name_of(kPageVariable) + "=";
  const auto git = git_proxies(callers);
  for (std::string& entry : callers) {
    if (entry.starts_with(page_name) || is_of_the_gateway(entry)) continue;
    if (std::ranges::find(closed, name_of(entry)) != closed.end()) {
      close_file(entry, out);
    } else if (is_git_value_of(entry, git)) {
      if (!value_in(entry).empty()) out.ignored_proxies.push_back(name_of(entry));
      out.variables.push_back(name_of(entry) + "=");
    } else if (names_proxy(entry)) {
      replace_proxy(std::move(entry), proxy_inside, out);
    } else {
      out.variables.push_back(std::move(entry));
    }
  }
  out.variables.emplace_back(kPageVariable);
  return out;
}

}  // namespace soleroute::gateway::jail
