// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/command_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace soleroute::gateway::jail {
namespace {

// In lower case. npm reads its configuration from variables too.
constexpr std::array<std::string_view, 7> kProxyVariables{
    "all_proxy",       "ftp_proxy", "http_proxy", "https_proxy", "npm_config_http_proxy", "npm_config_https_proxy",
    "npm_config_proxy"};

std::string name_of(const std::string& entry) {
  return entry.substr(0, entry.find('='));
}

bool names_proxy(const std::string& entry) {
  std::string name = name_of(entry);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return std::ranges::find(kProxyVariables, name) != kProxyVariables.end();
}

void close_file(std::string entry, CommandEnvironment& out) {
  const std::string name = name_of(entry);
  const std::string closed = fmt::format("{}=/dev/null", name);
  const bool named_one = entry.size() > name.size() + 1;
  if (named_one && entry != closed) out.closed_files.push_back(name);
  out.variables.push_back(named_one ? closed : std::move(entry));
}

}  // namespace

CommandEnvironment command_environment(std::vector<std::string> callers, bool keep_proxies,
                                       std::span<const std::string_view> closed) {
  CommandEnvironment out;
  const std::string page_name = name_of(std::string(kPageVariable)) + "=";
  for (std::string& entry : callers) {
    if (entry.starts_with(page_name)) continue;
    if (std::ranges::find(closed, name_of(entry)) != closed.end()) {
      close_file(std::move(entry), out);
      continue;
    }
    if (keep_proxies || !names_proxy(entry)) {
      out.variables.push_back(std::move(entry));
    } else if (entry.size() > name_of(entry).size() + 1) {
      out.ignored_proxies.push_back(name_of(entry));
    }
  }
  out.variables.emplace_back(kPageVariable);
  return out;
}

}  // namespace soleroute::gateway::jail
