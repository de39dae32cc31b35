// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/host_services.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "policy/address_class.h"
#include "policy/host_service.h"

namespace soleroute::gateway::serve {

std::string trusted_hosts_file(const ServeOptions& options) {
  return options.topology == netrules::Topology::kSidecar ? "" : "/etc/hosts";
}

host::HostAddress find_host(const ServeOptions& options) {
  if (!options.host_addresses.empty()) return {options.host_addresses, "--host-address"};
  return options.in_container ? host::read_host_of_container(trusted_hosts_file(options))
                              : host::loopback_of_this_machine();
}

std::string describe_host(const host::HostAddress& host) {
  if (host.addresses.empty()) {
    return fmt::format("{} is not known: set --host-address, or extra_hosts of the gateway's container",
                       policy::kHostServiceName);
  }
  std::string list;
  for (const auto& address : host.addresses) list += (list.empty() ? "" : ", ") + address.to_string();
  return fmt::format("{} is {} ({})", policy::kHostServiceName, list, host.source);
}

std::vector<std::uint16_t> own_ports(const ServeOptions& options, const net::ListenPorts& ports,
                                     std::span<const base::IpAddress> host, std::span<const base::IpAddress> here) {
  const bool on_this_machine = std::ranges::any_of(host, [&](const base::IpAddress& address) {
    return policy::address_class(address) == "loopback" || std::ranges::find(here, address) != here.end();
  });
  std::vector<std::uint16_t> own{ports.explicit_proxy};
  if (on_this_machine) own.insert(own.end(), {ports.redirected, ports.dns, ports.udp});
  if (on_this_machine && options.metrics) own.push_back(options.metrics->port);
  std::erase(own, 0);
  return own;
}

bool lists_host_services(const policy::Policy& policy) {
  const auto is_host_service = [](const policy::EndpointView& endpoint) {
    return policy::is_host_service_name(endpoint.host);
  };
  return std::ranges::any_of(
      policy.all(), [&](const policy::Policy* one) { return std::ranges::any_of(one->endpoints(), is_host_service); });
}

namespace {

base::Status check_endpoints(const policy::Policy& policy, const flow::HostServices& host) {
  for (const auto& endpoint : policy.endpoints()) {
    if (!policy::is_host_service_name(endpoint.host)) continue;
    for (const std::uint16_t port : host.own_ports) {
      if (!base::contains(endpoint.ports, port)) continue;
      return base::usage_error(fmt::format(
          "{}: port {} of {} is one of the gateway's own listeners, which no agent may reach. Give the gateway another "
          "port (--explicit-proxy, --metrics, --listen)",
          base::shown(policy::place_of(endpoint.line)), port, endpoint.host));
    }
  }
  return {};
}

}  // namespace

base::Status check_host_services(const policy::Policy& policy, const flow::HostServices& host) {
  for (const auto* one : policy.all()) SR_TRY(check_endpoints(*one, host));
  return {};
}

}  // namespace soleroute::gateway::serve
