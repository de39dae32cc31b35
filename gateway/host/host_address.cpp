// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/host_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hosts_file.h"
#include "base/read_file.h"
#include "policy/address_class.h"
#include "policy/host_service.h"

namespace soleroute::gateway::host {
namespace {

constexpr const char* kHostsFile = "/etc/hosts";
constexpr std::size_t kMaxHostsFile = std::size_t{64} * 1024;

void add_host(std::vector<base::IpAddress>& to, const base::IpAddress& address) {
  const bool known = std::ranges::any_of(to, [&](const auto& other) { return other.family() == address.family(); });
  if (!known && !policy::is_never_suggested(address)) to.push_back(address);
}

}  // namespace

HostAddress loopback_of_this_machine() {
  std::array<std::uint8_t, 16> loopback{};
  loopback.back() = 1;
  return {{base::IpAddress::v4({127, 0, 0, 1}), base::IpAddress::v6(loopback)}, "loopback of this machine"};
}

HostAddress host_of_container(std::string_view hosts, const std::vector<netlink::DefaultRoute>& routes) {
  HostAddress found;
  base::for_each_host(hosts, [&found](const base::IpAddress& address, std::string_view name) {
    if (!policy::is_host_service_name(name)) return;
    add_host(found.addresses, address.unmapped());
    if (found.source.empty() && !found.addresses.empty()) found.source = fmt::format("{} in {}", name, kHostsFile);
  });
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
