// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/system_resolvers.h"

#include <algorithm>
#include <ranges>

#include "gateway/host/policy_files.h"

namespace soleroute::gateway::host {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr std::size_t kMaxResolvConf = 64 * 1024;
constexpr std::size_t kMaxServers = 3;  // MAXNS of resolv.conf(5)
constexpr std::uint16_t kDnsPort = 53;
constexpr std::string_view kBlank = " \t\r";

std::string_view next_word(std::string_view& line) {
  const auto begin = std::min(line.find_first_not_of(kBlank), line.size());
  const auto end = std::min(line.find_first_of(kBlank, begin), line.size());
  const auto word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

}  // namespace

std::vector<base::Endpoint> parse_resolv_conf(std::string_view text) {
  std::vector<base::Endpoint> servers;
  for (const auto part : std::views::split(text, '\n')) {
    std::string_view line(part.begin(), part.end());
    if (next_word(line) != "nameserver") continue;
    const auto address = base::IpAddress::parse(next_word(line));
    if (address && servers.size() < kMaxServers) servers.push_back({address->unmapped(), kDnsPort});
  }
  return servers;
}

base::Result<std::vector<base::Endpoint>> system_resolvers() {
  const auto text = read_small_file(kResolvConf, kMaxResolvConf);
  auto servers = text ? parse_resolv_conf(*text) : std::vector<base::Endpoint>{};
  if (servers.empty()) {
    return base::system_error(std::string(kResolvConf) +
                              " names no usable server; say which one to ask with --resolver ADDRESS");
  }
  return servers;
}

}  // namespace soleroute::gateway::host
