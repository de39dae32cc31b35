// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/dead_end.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "base/fd.h"
#include "base/netlink_wait.h"

namespace soleroute::gateway::jail {
namespace {

constexpr const char* kNewWithoutIpv6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

struct SocketDeleter {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

void put_end(nlmsghdr& message, const char* name) {
  // Zero means any family and no flags: an end cannot be brought up before there is the other.
  mnl_nlmsg_put_extra_header(&message, sizeof(ifinfomsg));
  mnl_attr_put_strz(&message, IFLA_IFNAME, name);
}

void build_request(nlmsghdr& message) {
  message.nlmsg_type = RTM_NEWLINK;
  message.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
  message.nlmsg_seq = 1;
  put_end(message, kDeadEnd);
  nlattr* info = mnl_attr_nest_start(&message, IFLA_LINKINFO);
  mnl_attr_put_strz(&message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(&message, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(&message, VETH_INFO_PEER);
  put_end(message, kOtherEnd);
  mnl_attr_nest_end(&message, peer);
  mnl_attr_nest_end(&message, data);
  mnl_attr_nest_end(&message, info);
}

base::Status send_request() {
  const std::unique_ptr<mnl_socket, SocketDeleter> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return base::errno_error("cannot open a routing socket");
  }
  base::limit_waiting(mnl_socket_get_fd(socket.get()));
  alignas(nlmsghdr) std::array<char, 4096> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  build_request(*message);
  if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0) {
    return base::errno_error("cannot ask for an interface");
  }
  const ssize_t received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  if (received < 0) return base::receive_error("cannot make an interface");
  const unsigned port = mnl_socket_get_portid(socket.get());
  if (mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 1, port, nullptr, nullptr) < 0) {
    return base::errno_error("cannot make an interface");
  }
  return {};
}

}  // namespace

base::Status make_dead_end() {
  // No such file: there is no IPv6 at all.
  const base::Fd without(::open(kNewWithoutIpv6, O_WRONLY | O_CLOEXEC));
  if (without && ::write(without.get(), "1", 1) != 1) return base::errno_error("cannot keep IPv6 off an interface");
  return send_request();
}

}  // namespace soleroute::gateway::jail
