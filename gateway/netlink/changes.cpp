// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/changes.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <initializer_list>
#include <utility>

namespace soleroute::gateway::netlink {
namespace {

constexpr int kMaxHeard = 256;  // messages at a time

base::Result<base::Fd> subscribed(int protocol, std::initializer_list<int> groups) {
  base::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!socket) return base::errno_error("cannot open a netlink socket");
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    return base::errno_error("cannot bind a netlink socket");
  }
  for (const int group : groups) {
    if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0) continue;
    return base::errno_error("cannot subscribe to the kernel's change events");
  }
  return socket;
}

}  // namespace

base::Result<Changes> Changes::subscribe(About about) {
  Changes changes;
  if (about == About::kAddressesAndRoutes) {
    SR_LET(some, subscribed(NETLINK_ROUTE,
                            {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE}));
    changes.routing_ = std::move(*some);
    return changes;
  }
  SR_LET(routing, subscribed(NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR,
                                             RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF}));
  SR_LET(rules, subscribed(NETLINK_NETFILTER, {NFNLGRP_NFTABLES}));
  changes.routing_ = std::move(*routing);
  changes.rules_ = std::move(*rules);
  return changes;
}

std::vector<int> Changes::sockets() const {
  std::vector<int> open{routing_.get()};
  if (rules_) open.push_back(rules_.get());
  return open;
}

void Changes::hear() const {
  for (const int socket : sockets()) {
    for (int heard = 0; heard < kMaxHeard; ++heard) {
      char byte = 0;  // the rest of the message is thrown away with it
      const ssize_t got = ::recv(socket, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC);
      if (got < 0 && errno != EINTR && errno != ENOBUFS) break;
    }
  }
}

}  // namespace soleroute::gateway::netlink
