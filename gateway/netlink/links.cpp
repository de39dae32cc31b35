// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/links.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "gateway/netlink/request.h"

namespace soleroute::gateway::netlink {
namespace {

base::Status read_addresses(std::vector<Interface>& interfaces) {
  Request request(RTM_GETADDR, NLM_F_DUMP, sizeof(ifaddrmsg));
  return request.run("cannot list addresses", [&](const nlmsghdr& message) {
    const auto& body = body_of<ifaddrmsg>(message);
    const Attributes attributes(message, sizeof body);
    auto address = attributes.address(IFA_LOCAL);  // on point-to-point links IFA_ADDRESS is the peer
    if (!address) address = attributes.address(IFA_ADDRESS);
    const auto found = std::ranges::find(interfaces, static_cast<int>(body.ifa_index), &Interface::index);
    if (address && found != interfaces.end()) found->addresses.push_back({*address, body.ifa_prefixlen});
  });
}

base::Status change_address(std::uint16_t type, unsigned flags, int index, const base::InterfaceAddress& address,
                            const char* what) {
  Request request(type, NLM_F_ACK | flags, sizeof(ifaddrmsg));
  request.body<ifaddrmsg>().ifa_family = static_cast<std::uint8_t>(family_number(address.address.family()));
  request.body<ifaddrmsg>().ifa_prefixlen = static_cast<std::uint8_t>(address.prefix_length);
  request.body<ifaddrmsg>().ifa_index = static_cast<std::uint32_t>(index);
  request.put_address(IFA_LOCAL, address.address);
  request.put_address(IFA_ADDRESS, address.address);
  if (type == RTM_NEWADDR && address.address.is_v6()) request.put_u32(IFA_FLAGS, IFA_F_NODAD);  // usable at once
  return request.run(what);
}

base::Status change_default_route(std::uint16_t type, unsigned flags, const DefaultRoute& route, const char* what) {
  Request request(type, NLM_F_ACK | flags, sizeof(rtmsg));
  rtmsg& body = request.body<rtmsg>();
  body.rtm_family = static_cast<std::uint8_t>(family_number(route.family));
  body.rtm_table = RT_TABLE_MAIN;
  if (type == RTM_NEWROUTE) body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = route.via || type == RTM_DELROUTE ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  if (type == RTM_DELROUTE && !route.via) body.rtm_scope = RT_SCOPE_NOWHERE;
  body.rtm_type = RTN_UNICAST;
  if (route.via) request.put_address(RTA_GATEWAY, *route.via);
  request.put_u32(RTA_OIF, static_cast<std::uint32_t>(route.interface_index));
  if (route.metric != 0) request.put_u32(RTA_PRIORITY, static_cast<std::uint32_t>(route.metric));
  return request.run(what);
}

std::optional<DefaultRoute> parse_default_route(const nlmsghdr& message) {
  const auto& body = body_of<rtmsg>(message);
  if (body.rtm_dst_len != 0 || body.rtm_type != RTN_UNICAST || (body.rtm_flags & RTM_F_CLONED) != 0) return {};
  const Attributes attributes(message, sizeof body);
  if (attributes.u32(RTA_TABLE).value_or(body.rtm_table) != RT_TABLE_MAIN) return {};
  DefaultRoute route;
  route.family = body.rtm_family == AF_INET ? base::Family::kV4 : base::Family::kV6;
  route.via = attributes.address(RTA_GATEWAY);
  route.advertised = body.rtm_protocol == RTPROT_RA;
  route.interface_index = static_cast<int>(attributes.u32(RTA_OIF).value_or(0));
  route.metric = static_cast<int>(attributes.u32(RTA_PRIORITY).value_or(0));
  return route;
}

std::optional<Route> parse_route(const nlmsghdr& message) {
  const auto& body = body_of<rtmsg>(message);
  if (body.rtm_dst_len == 0 || body.rtm_type != RTN_UNICAST || (body.rtm_flags & RTM_F_CLONED) != 0) return {};
  const Attributes attributes(message, sizeof body);
  const auto address = attributes.address(RTA_DST);
  const auto destination = address ? base::Cidr::make(*address, body.rtm_dst_len) : base::system_error("none");
  if (!destination) return {};
  return Route{*destination, static_cast<int>(attributes.u32(RTA_OIF).value_or(0))};
}

}  // namespace

base::Result<std::vector<Interface>> list_interfaces() {
  std::vector<Interface> interfaces;
  Request request(RTM_GETLINK, NLM_F_DUMP, sizeof(ifinfomsg));
  auto status = request.run("cannot list interfaces", [&](const nlmsghdr& message) {
    const auto& body = body_of<ifinfomsg>(message);
    const Attributes attributes(message, sizeof body);
    interfaces.push_back({.index = body.ifi_index,
                          .name = attributes.text(IFLA_IFNAME),
                          .up = (body.ifi_flags & IFF_UP) != 0,
                          .loopback = (body.ifi_flags & IFF_LOOPBACK) != 0,
                          .addresses = {}});
  });
  if (status) status = read_addresses(interfaces);
  if (!status) return std::unexpected(status.error());
  return interfaces;
}

base::Result<std::vector<DefaultRoute>> list_default_routes() {
  std::vector<DefaultRoute> routes;
  Request request(RTM_GETROUTE, NLM_F_DUMP, sizeof(rtmsg));  // both families
  const auto status = request.run("cannot list routes", [&](const nlmsghdr& message) {
    if (const auto route = parse_default_route(message)) routes.push_back(*route);
  });
  if (!status) return std::unexpected(status.error());
  return routes;
}

base::Result<std::vector<Route>> list_routes() {
  std::vector<Route> routes;
  Request request(RTM_GETROUTE, NLM_F_DUMP, sizeof(rtmsg));  // both families
  const auto status = request.run("cannot list routes", [&](const nlmsghdr& message) {
    if (const auto route = parse_route(message)) routes.push_back(*route);
  });
  if (!status) return std::unexpected(status.error());
  return routes;
}

base::Status set_interface_up(int index) {
  Request request(RTM_NEWLINK, NLM_F_ACK, sizeof(ifinfomsg));
  request.body<ifinfomsg>().ifi_index = index;
  request.body<ifinfomsg>().ifi_flags = IFF_UP;
  request.body<ifinfomsg>().ifi_change = IFF_UP;
  return request.run("cannot bring an interface up");
}

base::Status add_veth_pair(const char* name, const char* peer) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof(ifinfomsg));
  request.put_text(IFLA_IFNAME, name);
  request.put_nested(std::array<std::uint16_t, 1>{IFLA_LINKINFO}, [&] {
    request.put_text(IFLA_INFO_KIND, "veth");
    request.put_nested(std::array<std::uint16_t, 2>{IFLA_INFO_DATA, VETH_INFO_PEER}, [&] {
      request.put_zeros(sizeof(ifinfomsg));
      request.put_text(IFLA_IFNAME, peer);
    });
  });
  return request.run("cannot make an interface");
}

base::Status add_address(int index, const base::InterfaceAddress& address) {
  const std::string what = fmt::format("cannot add address {}", address.to_string());
  const auto status = change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address, what.c_str());
  if (!status && status.error().sys_errno == EEXIST) return {};
  return status;
}

base::Status remove_address(int index, const base::InterfaceAddress& address) {
  const std::string what = fmt::format("cannot remove address {}", address.to_string());
  return change_address(RTM_DELADDR, 0, index, address, what.c_str());
}

base::Status add_default_route(const DefaultRoute& route) {
  return change_default_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, "cannot add a default route");
}

base::Status add_link_route(int index, const base::Cidr& network) {
  Request request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(rtmsg));
  rtmsg& body = request.body<rtmsg>();
  body.rtm_family = static_cast<std::uint8_t>(family_number(network.address().family()));
  body.rtm_dst_len = static_cast<std::uint8_t>(network.prefix_length());
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_KERNEL;  // so that it goes with the address
  body.rtm_scope = network.address().is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  request.put_address(RTA_DST, network.address());
  request.put_u32(RTA_OIF, static_cast<std::uint32_t>(index));
  constexpr std::uint32_t kIp6RoutePrefixMetric = 256;  // IP6_RT_PRIO_ADDRCONF
  if (network.address().is_v6()) request.put_u32(RTA_PRIORITY, kIp6RoutePrefixMetric);
  const std::string what = fmt::format("cannot add the route to {}", network.to_string());
  return request.run(what.c_str());
}

base::Status turn_off_ipv4_forwarding(int index) {
  Request request(RTM_NEWLINK, NLM_F_ACK, sizeof(ifinfomsg));
  request.body<ifinfomsg>().ifi_index = index;
  request.put_nested(std::array<std::uint16_t, 3>{IFLA_AF_SPEC, AF_INET, IFLA_INET_CONF},
                     [&] { request.put_u32(IPV4_DEVCONF_FORWARDING, 0); });
  return request.run("cannot turn forwarding off");
}

base::Status remove_default_route(const DefaultRoute& route) {
  return change_default_route(RTM_DELROUTE, 0, route, "cannot remove a default route");
}

}  // namespace soleroute::gateway::netlink
