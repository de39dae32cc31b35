// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/host_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>
#include <utility>

#include "base/read_file.h"
#include "policy/address_class.h"
#include "policy/host_service.h"

namespace soleroute::gateway::host {
namespace {

constexpr const char* kHostsFile = "/etc/hosts";
constexpr std::size_t kMaxHostsFile = std::size_t{64} * 1024;
constexpr std::string_view kSpace = " \t\r";

std::string_view word_of(std::string_view& line) {
  const auto begin = std::min(line.find_first_not_of(kSpace), line.size());
  const auto end = std::min(line.find_first_of(kSpace, begin), line.size());
  const auto word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

void add_host(std::vector<base::IpAddress>& to, const base::IpAddress& address) {
  const bool known = std::ranges::any_of(to, [&](const auto& other) { return other.family() == address.family(); });
  if (!known && !policy::is_never_suggested(address)) to.push_back(address);
}

// The name that a line of /etc/hosts gives the host, and its address.
std::optional<std::pair<std::string_view, base::IpAddress>> host_line(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto address = base::IpAddress::parse(word_of(line));
  if (!address) return std::nullopt;
  for (auto name = word_of(line); !name.empty(); name = word_of(line)) {
    if (policy::is_host_service_name(name)) return std::pair(name, address->unmapped());
  }
  return std::nullopt;
}

}  // namespace

HostAddress loopback_of_this_machine() {
  std::array<std::uint8_t, 16> loopback{};
  loopback.back() = 1;
  return {{base::IpAddress::v4({127, 0, 0, 1}), base::IpAddress::v6(loopback)}, "loopback of this machine"};
}

HostAddress host_of_container(std::string_view hosts, const std::vector<netlink::DefaultRoute>& routes) {
  HostAddress found;
  for (const auto part : std::views::split(hosts, '\n')) {
    const auto line = host_line({part.begin(), part.end()});
    if (!line) continue;
    add_host(found.addresses, line->second);
    if (!found.addresses.empty()) found.source = fmt::format("{} in {}", line->first, kHostsFile);
  }
  if (!found.addresses.empty()) return found;
  for (const auto& route : routes) {
    if (route.via) add_host(found.addresses, *route.via);
  }
  if (!found.addresses.empty()) found.source = "the next hop of the default route";
  return found;
}

HostAddress read_host_of_container(const std::string& hosts_file) {
  const auto text = hosts_file.empty() ? base::Result<std::string>("") : base::read_file(hosts_file, kMaxHostsFile);
  const auto routes = netlink::list_default_routes();
  return host_of_container(text ? *text : "", routes ? *routes : std::vector<netlink::DefaultRoute>{});
}

}  // namespace soleroute::gateway::host
