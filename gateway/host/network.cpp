// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/network.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>

#include "base/fd.h"
#include "gateway/netlink/address_probe.h"

namespace soleroute::gateway::host {
namespace {

using netlink::Interface;

bool holds(const Interface& interface, const base::IpAddress& address) {
  return std::ranges::any_of(interface.addresses,
                             [&](const base::InterfaceAddress& own) { return own.address == address; });
}

bool on_subnet(const Interface& interface, const base::IpAddress& address) {
  return std::ranges::any_of(interface.addresses,
                             [&](const base::InterfaceAddress& own) { return own.subnet().contains(address); });
}

std::string names_of(const std::vector<Interface>& interfaces) {
  std::string names;
  for (const auto& interface : interfaces) {
    if (interface.loopback) continue;
    names += names.empty() ? "" : ", ";
    names += interface.name;
  }
  return names.empty() ? "none" : names;
}

// By custom the engine's bridge has the first address of the outside subnet. What was done, if there is such a subnet.
std::optional<std::string> set_route_outside(const std::vector<Interface>& interfaces, const Interface& inside) {
  for (const auto& interface : interfaces) {
    if (interface.loopback || interface.index == inside.index) continue;
    const auto own = std::ranges::find_if(interface.addresses, [](const auto& a) { return a.address.is_v4(); });
    if (own == interface.addresses.end()) continue;
    const auto network = own->subnet().address().bytes();
    const std::uint32_t first = ((std::uint32_t{network[0]} << 24) | (std::uint32_t{network[1]} << 16) |
                                 (std::uint32_t{network[2]} << 8) | network[3]) +
                                1;
    const netlink::DefaultRoute outside{base::Family::kV4, base::IpAddress::v4(first), interface.index, 0};
    const auto added = netlink::add_default_route(outside);
    return added ? fmt::format("default route set to {} on {}", outside.via->to_string(), interface.name)
                 : added.error().message;
  }
  return std::nullopt;
}

}  // namespace

base::Result<Interface> find_inside(const std::vector<Interface>& interfaces, const std::string& name,
                                    const std::vector<base::InterfaceAddress>& claim) {
  for (const auto& interface : interfaces) {
    if (!name.empty() && interface.name == name) return interface;
    const bool claimed_here = name.empty() && !claim.empty() && !interface.loopback &&
                              (holds(interface, claim.front().address) || on_subnet(interface, claim.front().address));
    if (claimed_here) return interface;
  }
  if (!name.empty()) {
    return base::system_error(fmt::format("no such interface: {} (found: {})", name, names_of(interfaces)));
  }
  if (claim.empty()) {
    return base::usage_error("missing --claim ADDR/PREFIX. To sandbox one command instead: gateway run -- CMD");
  }
  return base::system_error(
      fmt::format("no interface has an address in the subnet of {} (found: {}); pass --inside IFACE. If the "
                  "project's network changed, the engine still has the old one: docker compose down, then "
                  "docker compose up -d",
                  claim.front().to_string(), names_of(interfaces)));
}

namespace {

// The last address of an IPv4 subnet that may be a machine's, or the one before where that is ours.
base::IpAddress somebody_of(const base::InterfaceAddress& own) {
  const auto bytes = own.address.bytes();
  const std::uint32_t address = std::uint32_t{bytes[0]} << 24U | std::uint32_t{bytes[1]} << 16U |
                                std::uint32_t{bytes[2]} << 8U | std::uint32_t{bytes[3]};
  const std::uint32_t last = (address | (0xffffffffU >> static_cast<unsigned>(own.prefix_length))) - 1;
  return base::IpAddress::v4(last == address ? last - 1 : last);
}

// An engine may give this container another hardware address at each start (Podman does), and neighbours that remember
// the former one would send there for most of a minute. The kernel broadcasts on whose behalf it asks for an address;
// every neighbour that remembers that name corrects itself. So something is sent from the claimed address to whoever is
// last on the subnet: it needs no capability. What fails here is made up for by time. (Over IPv6 only time helps.)
void announce(const base::InterfaceAddress& claimed) {
  constexpr std::uint16_t kDiscard = 9;
  constexpr int kLongestPrefix = 29;  // smaller subnets are not worth it
  if (claimed.address.is_v6() || claimed.prefix_length < 1 || claimed.prefix_length > kLongestPrefix) return;
  const base::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_storage from{};
  sockaddr_storage to{};
  const auto from_size = base::Endpoint{claimed.address, 0}.to_sockaddr(from);
  const auto to_size = base::Endpoint{somebody_of(claimed), kDiscard}.to_sockaddr(to);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&from), from_size) != 0) return;
  ::sendto(socket.get(), "", 0, 0, reinterpret_cast<const sockaddr*>(&to), to_size);
}

}  // namespace

base::Status claim_addresses(const Interface& inside, const std::vector<base::InterfaceAddress>& claim) {
  for (const auto& address : claim) {
    if (holds(inside, address.address)) continue;
    const auto taken = netlink::address_in_use(inside.index, address.address);
    if (taken && *taken) {
      return base::system_error(
          fmt::format("{} is already in use on {} (another gateway, or the engine's "
                      "bridge); claim another address",
                      address.address.to_string(), inside.name));
    }
    SR_TRY(netlink::add_address(inside.index, address));
    announce(address);
  }
  return {};
}

std::vector<std::string> mend_default_route(const std::vector<Interface>& interfaces,
                                            const std::vector<base::InterfaceAddress>& claim, const Interface& inside) {
  std::vector<std::string> done;
  const auto routes = netlink::list_default_routes();
  if (!routes) return {routes.error().message};
  for (const auto& route : *routes) {
    const auto ours = [&](const base::InterfaceAddress& own) { return own.address == *route.via; };
    if (!route.via || std::ranges::none_of(claim, ours)) continue;
    const auto removed = netlink::remove_default_route(route);
    done.push_back(
        removed ? fmt::format("removed default route through {}, which is this gateway itself", route.via->to_string())
                : removed.error().message);
    const auto other = [&](const netlink::DefaultRoute& one) {
      return one.family == route.family && one.via != route.via;
    };
    if (route.family != base::Family::kV4 || std::ranges::any_of(*routes, other)) continue;
    if (auto said = set_route_outside(interfaces, inside)) done.push_back(std::move(*said));
  }
  return done;
}

std::vector<base::IpAddress> all_addresses(const std::vector<Interface>& interfaces) {
  std::vector<base::IpAddress> all;
  for (const auto& interface : interfaces) {
    for (const auto& own : interface.addresses) all.push_back(own.address);
  }
  return all;
}

std::vector<base::IpAddress> own_addresses(const std::vector<base::InterfaceAddress>& claim,
                                           const std::vector<Interface>& interfaces,
                                           std::optional<int> interface_index) {
  std::vector<base::IpAddress> own(claim.size());
  std::ranges::transform(claim, own.begin(), &base::InterfaceAddress::address);
  if (!own.empty()) return own;
  for (const auto& interface : interfaces) {
    if (interface.loopback || (interface_index && interface.index != *interface_index)) continue;
    std::ranges::transform(interface.addresses, std::back_inserter(own), &base::InterfaceAddress::address);
  }
  std::erase_if(own, [](const base::IpAddress& address) {
    return address.is_v6() && address.bytes()[0] == 0xfe;  // link-local
  });
  return own;
}

std::vector<base::Cidr> networks_here() {
  std::vector<base::Cidr> networks;
  if (const auto routes = netlink::list_routes()) {
    for (const auto& route : *routes) networks.push_back(route.destination);
  }
  if (const auto interfaces = netlink::list_interfaces()) {
    for (const auto& interface : *interfaces) {
      std::ranges::transform(interface.addresses, std::back_inserter(networks), &base::InterfaceAddress::subnet);
    }
  }
  return networks;
}

}  // namespace soleroute::gateway::host
