// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/conntrack.h"

#include <arpa/inet.h>  // before the kernel headers, which then leave out what it defines
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

#include "base/netlink_wait.h"
#include "gateway/netlink/connection_tuple.h"
#include "gateway/netlink/request.h"

namespace soleroute::gateway::netlink {
namespace {

constexpr std::size_t kRequest = 512;
constexpr std::size_t kAnswer = 8192;
constexpr std::uint16_t kGet = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
constexpr std::chrono::milliseconds kWait{500};

void put_address(nlmsghdr* header, std::uint16_t v4, std::uint16_t v6, const base::IpAddress& address) {
  mnl_attr_put(header, address.is_v4() ? v4 : v6, address.bytes().size(), address.bytes().data());
}

// The packets that answer: from `local` to `peer`.
void put_reply_tuple(nlmsghdr* header, const base::Endpoint& peer, const base::Endpoint& local) {
  nlattr* tuple = mnl_attr_nest_start(header, CTA_TUPLE_REPLY);
  nlattr* ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  put_address(header, CTA_IP_V4_SRC, CTA_IP_V6_SRC, local.address);
  put_address(header, CTA_IP_V4_DST, CTA_IP_V6_DST, peer.address);
  mnl_attr_nest_end(header, ip);
  nlattr* proto = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_UDP);
  mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(local.port));
  mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(peer.port));
  mnl_attr_nest_end(header, proto);
  mnl_attr_nest_end(header, tuple);
}

}  // namespace

base::Result<base::Fd> open_conntrack() {
  base::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return base::errno_error("cannot ask connection tracking");
  base::limit_waiting(socket.get(), kWait);
  return socket;
}

Conntrack::Conntrack(base::Fd socket) : socket_(std::move(socket)) {}

std::optional<base::Endpoint> Conntrack::original_destination(const base::Endpoint& peer, const base::Endpoint& local) {
  if (peer.address.family() != local.address.family()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  alignas(nlmsghdr) std::array<char, kRequest> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = kGet;
  header->nlmsg_flags = NLM_F_REQUEST;
  header->nlmsg_seq = ++sequence_;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  family->nfgen_family = peer.address.is_v4() ? AF_INET : AF_INET6;
  put_reply_tuple(header, peer, local);
  if (::send(socket_.get(), header, header->nlmsg_len, 0) < 0) return std::nullopt;
  alignas(nlmsghdr) std::array<char, kAnswer> answer{};
  for (;;) {
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): the kernel has answered within send(2)
    const ssize_t size = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    if (size < 0) return std::nullopt;
    const auto* message = reinterpret_cast<const nlmsghdr*>(answer.data());
    if (mnl_nlmsg_ok(message, static_cast<int>(size)) == 0) return std::nullopt;
    if (message->nlmsg_seq != sequence_) continue;  // of a question that was given up
    if (message->nlmsg_type == NLMSG_ERROR) return std::nullopt;
    const auto sent = tuple_in(Attributes(*message, sizeof(nfgenmsg)).bytes(CTA_TUPLE_ORIG));
    // What was sent to the listener itself has an entry too, and was not going anywhere.
    return sent && sent->destination != local ? std::optional(sent->destination) : std::nullopt;
  }
}

}  // namespace soleroute::gateway::netlink
