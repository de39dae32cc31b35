// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/queue/nfqueue.h"

#include <arpa/inet.h>  // before the kernel headers, which then leave out what it defines
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/fd.h"
#include "base/netlink_wait.h"
#include "base/result.h"
#include "gateway/queue/packet_log.h"

namespace soleroute::gateway::queue {
namespace {

constexpr std::size_t kRequestBuffer = 512;
constexpr int kReceiveBuffer = 1 << 20;

using Request = std::array<char, kRequestBuffer>;

nlmsghdr* begin(Request& buffer, int type, std::uint16_t queue) {
  return nfq_nlmsg_put(buffer.data(), type, queue);
}

base::Error explained(std::uint16_t queue, int error) {
  const auto at = fmt::format("packet queue {}: ", queue);
  const auto kind = base::ErrorKind::kSystem;
  if (error == EBUSY) return {at + "in use by another program in this network namespace", kind, error};
  if (error == EPERM) return {at + "not permitted; CAP_NET_ADMIN over the network namespace is needed", kind, error};
  if (error == EINVAL || error == EOPNOTSUPP) {
    return {at + "this kernel has no NFQUEUE (module nfnetlink_queue)", kind, error};
  }
  if (error == EAGAIN) return {base::no_answer(at + "cannot open"), kind, error};
  return base::errno_error(at + "netlink", error).error();
}

// The kernel's answer to the request with NLM_F_ACK; 0 is yes.
int acknowledged(int socket) {
  std::array<char, kMessageBuffer> buffer{};
  const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
  if (size < 0) return errno;
  const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (mnl_nlmsg_ok(header, static_cast<int>(size)) == 0 || header->nlmsg_type != NLMSG_ERROR) return EPROTO;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
}

base::Status tell(int socket, nlmsghdr* request, std::uint16_t queue) {
  request->nlmsg_flags |= NLM_F_ACK;
  if (::send(socket, request, request->nlmsg_len, 0) < 0) return std::unexpected(explained(queue, errno));
  if (const int error = acknowledged(socket); error != 0) return std::unexpected(explained(queue, error));
  return {};
}

base::Status configure(int socket, std::uint16_t queue) {
  Request buffer{};
  // Does nothing any more, but only with the right to: tells a missing right from a queue that is held.
  nlmsghdr* request = begin(buffer, NFQNL_MSG_CONFIG, queue);
  nfq_nlmsg_cfg_put_cmd(request, AF_UNSPEC, NFQNL_CFG_CMD_PF_UNBIND);
  SR_TRY(tell(socket, request, queue));

  request = begin(buffer, NFQNL_MSG_CONFIG, queue);
  nfq_nlmsg_cfg_put_cmd(request, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
  if (auto told = tell(socket, request, queue); !told) {
    const bool held = told.error().sys_errno == EPERM;
    return held ? std::unexpected(explained(queue, EBUSY)) : told;
  }

  request = begin(buffer, NFQNL_MSG_CONFIG, queue);
  nfq_nlmsg_cfg_put_params(request, NFQNL_COPY_PACKET, static_cast<int>(kCopyRange));
  nfq_nlmsg_cfg_put_qmaxlen(request, kQueueLength);
  // A full queue passes packets on rather than drop them: the rules behind it refuse them at once. Large packets are
  // not worth cutting up for a log.
  constexpr std::uint32_t kFlags = NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO;
  mnl_attr_put_u32(request, NFQA_CFG_FLAGS, htonl(kFlags));
  mnl_attr_put_u32(request, NFQA_CFG_MASK, htonl(kFlags));
  return tell(socket, request, queue);
}

void wait_without_limit(int socket) {
  const timeval timeout{.tv_sec = 0, .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

}  // namespace

base::Result<base::Fd> open_packet_queue(std::uint16_t number) {
  base::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return std::unexpected(explained(number, errno));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return std::unexpected(explained(number, errno));
  }
  base::limit_waiting(socket.get());
  SR_TRY(configure(socket.get(), number));
  wait_without_limit(socket.get());

  // Losing messages under a flood is fine and no error worth waking up for.
  const int on = 1;
  ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  return socket;
}

Messages each_packet(base::Bytes messages, const std::function<void(std::uint32_t, base::Bytes)>& visit) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(messages.data());
  int left = static_cast<int>(messages.size());
  for (; mnl_nlmsg_ok(header, left) != 0; header = mnl_nlmsg_next(header, &left)) {
    if (header->nlmsg_len > static_cast<std::uint32_t>(left))
      return Messages::kNotOfTheKernel;  // libmnl compares as signed
    constexpr int kPacket = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET;
    if (header->nlmsg_type != kPacket) continue;
    std::array<nlattr*, NFQA_MAX + 1> attributes{};
    if (nfq_nlmsg_parse(header, attributes.data()) < 0) return Messages::kNotOfTheKernel;
    const nlattr* packet_header = attributes[NFQA_PACKET_HDR];
    if (packet_header == nullptr || mnl_attr_get_payload_len(packet_header) < sizeof(nfqnl_msg_packet_hdr)) {
      return Messages::kNotOfTheKernel;
    }
    const auto* info = static_cast<const nfqnl_msg_packet_hdr*>(mnl_attr_get_payload(packet_header));
    base::Bytes packet;
    if (const nlattr* payload = attributes[NFQA_PAYLOAD]; payload != nullptr) {
      packet = {static_cast<const std::byte*>(mnl_attr_get_payload(payload)), mnl_attr_get_payload_len(payload)};
    }
    visit(ntohl(info->packet_id), packet);
  }
  return Messages::kSound;
}

std::vector<std::byte> accept_up_to(std::uint16_t queue, std::uint32_t id) {
  Request buffer{};
  nlmsghdr* request = begin(buffer, NFQNL_MSG_VERDICT_BATCH, queue);
  nfq_nlmsg_verdict_put(request, static_cast<int>(id), NF_ACCEPT);
  const auto bytes = std::as_bytes(std::span(buffer)).first(request->nlmsg_len);
  return {bytes.begin(), bytes.end()};
}

}  // namespace soleroute::gateway::queue
