// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/links.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "base/message_buffer.h"
#include "base/netlink_wait.h"
#include "gateway/netlink/local_routes.h"

namespace soleroute::gateway::netlink {
namespace {

constexpr std::size_t kBuffer = 32 * 1024;  // the kernel's largest dump message

struct SocketDeleter {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, SocketDeleter>;
using OnMessage = std::function<void(const nlmsghdr&)>;

int family_number(base::Family family) {
  return family == base::Family::kV4 ? AF_INET : AF_INET6;
}

int forward_message(const nlmsghdr* header, void* data) {
  (*static_cast<const OnMessage*>(data))(*header);
  return MNL_CB_OK;
}

// Strict: the kernel leaves out of a dump what the request does not ask for (Linux 4.20; one before tells all).
enum class Dump : std::uint8_t { kWhole, kStrict };

// One request and all its answers, on a socket of its own.
base::Status exchange(nlmsghdr& request, const char* what, const OnMessage& on_message, Dump dump) {
  const Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return base::errno_error(what);
  base::limit_waiting(mnl_socket_get_fd(socket.get()));
  const int on = 1;
  if (dump == Dump::kStrict)
    mnl_socket_setsockopt(socket.get(), NETLINK_GET_STRICT_CHK, const_cast<int*>(&on), sizeof on);
  request.nlmsg_seq = 1;
  if (mnl_socket_sendto(socket.get(), &request, request.nlmsg_len) < 0) return base::errno_error(what);
  base::MessageBuffer buffer(kBuffer);
  int state = MNL_CB_OK;
  while (state > MNL_CB_STOP) {
    const ssize_t received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (received < 0) return base::receive_error(what);
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 1, mnl_socket_get_portid(socket.get()),
                       forward_message, const_cast<OnMessage*>(&on_message));
  }
  if (state < 0) return base::errno_error(what);
  return {};
}

// A request under construction: header, family message, attributes.
template <class Body>
class Request {
 public:
  Request(std::uint16_t type, std::uint16_t flags) : buffer_(kBuffer) {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    body_ = static_cast<Body*>(mnl_nlmsg_put_extra_header(header_, sizeof(Body)));
  }
  Body& body() { return *body_; }
  void put_address(std::uint16_t type, const base::IpAddress& address) {
    mnl_attr_put(header_, type, address.bytes().size(), address.bytes().data());
  }
  // One of the kernel's settings of IPv4 for this interface.
  void put_setting(std::uint16_t number, std::uint32_t value) {
    nlattr* families = mnl_attr_nest_start(header_, IFLA_AF_SPEC);
    nlattr* family = mnl_attr_nest_start(header_, AF_INET);
    nlattr* settings = mnl_attr_nest_start(header_, IFLA_INET_CONF);
    mnl_attr_put_u32(header_, number, value);
    mnl_attr_nest_end(header_, settings);
    mnl_attr_nest_end(header_, family);
    mnl_attr_nest_end(header_, families);
  }
  void put_u32(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  base::Status run(const char* what, const OnMessage& on_message = [](const nlmsghdr&) {}, Dump dump = Dump::kWhole) {
    return exchange(*header_, what, on_message, dump);
  }

 private:
  base::MessageBuffer buffer_;
  nlmsghdr* header_;
  Body* body_;
};

// The attributes of a message by type; those above the highest wanted are left out.
template <std::size_t kHighest>
class Attributes {
 public:
  Attributes(const nlmsghdr& message, std::size_t body_size) {
    const auto take = [](const nlattr* attribute, void* data) {
      auto& table = *static_cast<std::array<const nlattr*, kHighest + 1>*>(data);
      const std::uint16_t type = mnl_attr_get_type(attribute);
      if (type <= kHighest) table[type] = attribute;
      return MNL_CB_OK;
    };
    mnl_attr_parse(&message, static_cast<unsigned>(body_size), take, &table_);
  }
  [[nodiscard]] std::optional<std::uint32_t> u32(std::size_t type) const {
    if (table_[type] == nullptr || mnl_attr_get_payload_len(table_[type]) < sizeof(std::uint32_t)) return std::nullopt;
    return mnl_attr_get_u32(table_[type]);
  }
  [[nodiscard]] std::optional<base::IpAddress> address(std::size_t type) const {
    if (table_[type] == nullptr) return std::nullopt;
    const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(table_[type]));
    const std::size_t length = mnl_attr_get_payload_len(table_[type]);
    if (length == 4) return base::IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
    if (length != 16) return std::nullopt;
    std::array<std::uint8_t, 16> sixteen{};
    std::copy_n(bytes, sixteen.size(), sixteen.begin());
    return base::IpAddress::v6(sixteen);
  }
  [[nodiscard]] std::string text(std::size_t type) const {
    if (table_[type] == nullptr) return {};
    const char* bytes = mnl_attr_get_str(table_[type]);
    return {bytes, strnlen(bytes, mnl_attr_get_payload_len(table_[type]))};
  }

 private:
  std::array<const nlattr*, kHighest + 1> table_{};
};

base::Status read_addresses(std::vector<Interface>& interfaces) {
  Request<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
  return request.run("cannot list addresses", [&](const nlmsghdr& message) {
    const auto* body = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
    const Attributes<IFA_LOCAL> attributes(message, sizeof *body);
    auto address = attributes.address(IFA_LOCAL);  // on point-to-point links IFA_ADDRESS is the peer
    if (!address) address = attributes.address(IFA_ADDRESS);
    const auto found = std::ranges::find(interfaces, static_cast<int>(body->ifa_index), &Interface::index);
    if (address && found != interfaces.end()) found->addresses.push_back({*address, body->ifa_prefixlen});
  });
}

base::Status change_address(std::uint16_t type, std::uint16_t flags, int index, const base::InterfaceAddress& address,
                            const char* what) {
  Request<ifaddrmsg> request(type, static_cast<std::uint16_t>(NLM_F_ACK | flags));
  request.body().ifa_family = static_cast<std::uint8_t>(family_number(address.address.family()));
  request.body().ifa_prefixlen = static_cast<std::uint8_t>(address.prefix_length);
  request.body().ifa_index = static_cast<std::uint32_t>(index);
  request.put_address(IFA_LOCAL, address.address);
  request.put_address(IFA_ADDRESS, address.address);
  if (type == RTM_NEWADDR && address.address.is_v6()) request.put_u32(IFA_FLAGS, IFA_F_NODAD);  // usable at once
  return request.run(what);
}

base::Status change_default_route(std::uint16_t type, std::uint16_t flags, const DefaultRoute& route,
                                  const char* what) {
  Request<rtmsg> request(type, static_cast<std::uint16_t>(NLM_F_ACK | flags));
  rtmsg& body = request.body();
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
  const auto* body = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
  if (body->rtm_dst_len != 0 || body->rtm_type != RTN_UNICAST || (body->rtm_flags & RTM_F_CLONED) != 0) return {};
  const Attributes<RTA_TABLE> attributes(message, sizeof *body);
  if (attributes.u32(RTA_TABLE).value_or(body->rtm_table) != RT_TABLE_MAIN) return {};
  DefaultRoute route;
  route.family = body->rtm_family == AF_INET ? base::Family::kV4 : base::Family::kV6;
  route.via = attributes.address(RTA_GATEWAY);
  route.advertised = body->rtm_protocol == RTPROT_RA;
  route.interface_index = static_cast<int>(attributes.u32(RTA_OIF).value_or(0));
  route.metric = static_cast<int>(attributes.u32(RTA_PRIORITY).value_or(0));
  return route;
}

std::optional<Route> parse_route(const nlmsghdr& message) {
  const auto* body = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
  if (body->rtm_dst_len == 0 || body->rtm_type != RTN_UNICAST || (body->rtm_flags & RTM_F_CLONED) != 0) return {};
  const Attributes<RTA_OIF> attributes(message, sizeof *body);
  const auto address = attributes.address(RTA_DST);
  const auto destination = address ? base::Cidr::make(*address, body->rtm_dst_len) : base::system_error("none");
  if (!destination) return {};
  return Route{*destination, static_cast<int>(attributes.u32(RTA_OIF).value_or(0))};
}

// Without multiple tables IPv6 has the main one alone.
std::optional<base::Cidr> parse_local_route(const nlmsghdr& message) {
  const auto* body = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
  if (body->rtm_type != RTN_LOCAL && body->rtm_type != RTN_ANYCAST) return {};
  const Attributes<RTA_TABLE> attributes(message, sizeof *body);
  const auto table = attributes.u32(RTA_TABLE).value_or(body->rtm_table);
  if (table != RT_TABLE_LOCAL && table != RT_TABLE_MAIN) return {};
  const auto none = body->rtm_family == AF_INET ? base::IpAddress{} : base::IpAddress::v6({});
  const auto prefix = base::Cidr::make(attributes.address(RTA_DST).value_or(none), body->rtm_dst_len);
  return prefix ? std::optional(*prefix) : std::nullopt;
}

}  // namespace

base::Result<std::vector<base::Cidr>> list_local_routes() {
  std::vector<base::Cidr> prefixes;
  for (const int family : {AF_INET, AF_INET6}) {
    Request<rtmsg> request(RTM_GETROUTE, NLM_F_DUMP);
    request.body().rtm_family = static_cast<std::uint8_t>(family);
    request.put_u32(RTA_TABLE, RT_TABLE_LOCAL);
    const auto take = [&](const nlmsghdr& message) {
      if (const auto prefix = parse_local_route(message)) prefixes.push_back(*prefix);
    };
    const auto status = request.run("cannot list this machine's own addresses", take, Dump::kStrict);
    if (status) continue;
    const int error = status.error().sys_errno;  // no such table yet, or no IPv6
    if (error != ENOENT && error != EOPNOTSUPP) return std::unexpected(status.error());
  }
  return prefixes;
}

base::Result<std::vector<Interface>> list_interfaces() {
  std::vector<Interface> interfaces;
  Request<ifinfomsg> request(RTM_GETLINK, NLM_F_DUMP);
  auto status = request.run("cannot list interfaces", [&](const nlmsghdr& message) {
    const auto* body = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
    const Attributes<IFLA_IFNAME> attributes(message, sizeof *body);
    interfaces.push_back({.index = body->ifi_index,
                          .name = attributes.text(IFLA_IFNAME),
                          .up = (body->ifi_flags & IFF_UP) != 0,
                          .loopback = (body->ifi_flags & IFF_LOOPBACK) != 0,
                          .addresses = {}});
  });
  if (status) status = read_addresses(interfaces);
  if (!status) return std::unexpected(status.error());
  return interfaces;
}

base::Result<std::vector<DefaultRoute>> list_default_routes() {
  std::vector<DefaultRoute> routes;
  Request<rtmsg> request(RTM_GETROUTE, NLM_F_DUMP);  // both families
  const auto status = request.run("cannot list routes", [&](const nlmsghdr& message) {
    if (const auto route = parse_default_route(message)) routes.push_back(*route);
  });
  if (!status) return std::unexpected(status.error());
  return routes;
}

base::Result<std::vector<Route>> list_routes() {
  std::vector<Route> routes;
  Request<rtmsg> request(RTM_GETROUTE, NLM_F_DUMP);  // both families
  const auto status = request.run("cannot list routes", [&](const nlmsghdr& message) {
    if (const auto route = parse_route(message)) routes.push_back(*route);
  });
  if (!status) return std::unexpected(status.error());
  return routes;
}

base::Status set_interface_up(int index) {
  Request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
  request.body().ifi_index = index;
  request.body().ifi_flags = IFF_UP;
  request.body().ifi_change = IFF_UP;
  return request.run("cannot bring an interface up");
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
  Request<rtmsg> request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  rtmsg& body = request.body();
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
  Request<ifinfomsg> request(RTM_NEWLINK, NLM_F_ACK);
  request.body().ifi_index = index;
  request.put_setting(IPV4_DEVCONF_FORWARDING, 0);
  return request.run("cannot turn forwarding off");
}

base::Status remove_default_route(const DefaultRoute& route) {
  return change_default_route(RTM_DELROUTE, 0, route, "cannot remove a default route");
}

}  // namespace soleroute::gateway::netlink
