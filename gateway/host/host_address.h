// Where the services of the machine are, seen from the gateway: loopback on the machine itself, else the container
// engine's host.
// Reads the hosts file and the kernel's routes; keeps nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "gateway/netlink/links.h"

namespace soleroute::gateway::host {

struct HostAddress {
  std::vector<base::IpAddress> addresses;  // at most one of each family; empty: not found
  std::string source;                      // for people: "the next hop of the default route"
};

// What the machine's own processes use.
[[nodiscard]] HostAddress loopback_of_this_machine();
// Of a container: what /etc/hosts (its text) says of a name of the host, as with Compose's extra_hosts, or else the
// next hop of the default route of each family. Never loopback nor link-local: there is no host behind those.
[[nodiscard]] HostAddress host_of_container(std::string_view hosts, const std::vector<netlink::DefaultRoute>& routes);
// The same of this process's container, with the text of `hosts_file`; empty: none.
[[nodiscard]] HostAddress read_host_of_container(const std::string& hosts_file);

}  // namespace soleroute::gateway::host
