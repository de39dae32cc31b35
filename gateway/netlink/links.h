// Interfaces, addresses and routes of the calling thread's network namespace, over rtnetlink (libmnl).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::netlink {

struct Interface {
  int index = 0;
  std::string name;
  bool up = false;
  bool loopback = false;
  std::vector<base::InterfaceAddress> addresses;
};
[[nodiscard]] base::Result<std::vector<Interface>> list_interfaces();

struct DefaultRoute {
  base::Family family = base::Family::kV4;
  std::optional<base::IpAddress> via;
  int interface_index = 0;
  int metric = 0;
  bool advertised = false;  // by a router (RFC 4861), which may take it back
};
[[nodiscard]] base::Result<std::vector<DefaultRoute>> list_default_routes();

struct Route {  // to a network that an interface leads to, of any table; no default route
  base::Cidr destination;
  int interface_index = 0;
};
[[nodiscard]] base::Result<std::vector<Route>> list_routes();

[[nodiscard]] base::Status set_interface_up(int index);
// Adding what is there already is success.
[[nodiscard]] base::Status add_address(int index, const base::InterfaceAddress& address);
[[nodiscard]] base::Status remove_address(int index, const base::InterfaceAddress& address);
[[nodiscard]] base::Status add_default_route(const DefaultRoute& route);  // replaces one of the same metric
[[nodiscard]] base::Status remove_default_route(const DefaultRoute& route);
// To a network that is on the interface's link, as the kernel adds it with an address.
[[nodiscard]] base::Status add_link_route(int index, const base::Cidr& network);
// Of what arrives on this interface: without /proc/sys, which engines mount read-only.
[[nodiscard]] base::Status turn_off_ipv4_forwarding(int index);
// A pair of virtual Ethernet ends, both in this network namespace. Needs veth in the kernel, or as a module that it
// loads.
[[nodiscard]] base::Status add_veth_pair(const char* name, const char* peer);

}  // namespace soleroute::gateway::netlink
