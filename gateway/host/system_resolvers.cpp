// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/system_resolvers.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <ranges>
#include <system_error>
#include <utility>

#include "base/hosts_file.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::host {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr std::size_t kMaxResolvConf = std::size_t{64} * 1024;
constexpr std::size_t kMaxServers = 3;  // MAXNS of resolv.conf(5)
constexpr std::size_t kMaxSearchDomains = 32;
constexpr std::uint16_t kDnsPort = 53;

std::optional<unsigned> ndots_of(std::string_view options) {
  constexpr std::string_view kNdots = "ndots:";
  std::optional<unsigned> ndots;
  for (auto word = base::next_word(options); !word.empty(); word = base::next_word(options)) {
    if (!word.starts_with(kNdots)) continue;
    word.remove_prefix(kNdots.size());
    unsigned number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size()) ndots = std::min(number, kMaxNdots);
  }
  return ndots;
}

}  // namespace

std::vector<base::Endpoint> parse_resolv_conf(std::string_view text) {
  std::vector<base::Endpoint> servers;
  for (const auto part : std::views::split(text, '\n')) {
    std::string_view line(part.begin(), part.end());
    if (base::next_word(line) != "nameserver") continue;
    const auto address = base::IpAddress::parse(base::next_word(line));
    if (address && servers.size() < kMaxServers) servers.push_back({address->unmapped(), kDnsPort});
  }
  return servers;
}

SearchDomains parse_search_domains(std::string_view text) {
  SearchDomains out;
  for (const auto part : std::views::split(text, '\n')) {
    std::string_view line(part.begin(), part.end());
    const auto keyword = base::next_word(line);
    if (keyword == "options") out.ndots = ndots_of(line).value_or(out.ndots);
    if (keyword != "search" && keyword != "domain") continue;
    out.domains.clear();
    for (auto word = base::next_word(line); !word.empty() && out.domains.size() < kMaxSearchDomains;
         word = base::next_word(line)) {
      if (auto domain = base::HostName::parse(word)) out.domains.push_back(std::move(*domain));
    }
  }
  return out;
}

SearchDomains system_search_domains() {
  const auto text = read_small_file(kResolvConf, kMaxResolvConf);
  return text ? parse_search_domains(*text) : SearchDomains{};
}

base::Result<std::vector<base::Endpoint>> system_resolvers() {
  const auto text = read_small_file(kResolvConf, kMaxResolvConf);
  auto servers = text ? parse_resolv_conf(*text) : std::vector<base::Endpoint>{};
  if (servers.empty()) {
    return base::system_error(std::string(kResolvConf) + " has no usable nameserver; pass --resolver ADDR");
  }
  return servers;
}

}  // namespace soleroute::gateway::host
