// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/datagram.h"

#include <netinet/in.h>

#include <array>
#include <cstring>

namespace soleroute::gateway::dns {
namespace {

// Room for both families' packet information.
using Control = std::array<std::byte, CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(in6_pktinfo))>;

template <class Info>
Info data_of(const cmsghdr& header) {
  Info info{};
  std::memcpy(&info, CMSG_DATA(&header), sizeof info);
  return info;
}

base::IpAddress address_of(const in6_addr& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &address, bytes.size());
  return base::IpAddress::v6(bytes);
}

void read_control(msghdr& message, DatagramOrigin& origin) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      const auto info = data_of<in6_pktinfo>(*header);
      origin.local = address_of(info.ipi6_addr);
      origin.interface_index = info.ipi6_ifindex;
      return;  // on an IPv6 socket this one is right for IPv4 too
    }
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      const auto info = data_of<in_pktinfo>(*header);
      origin.local = base::IpAddress::v4(ntohl(info.ipi_addr.s_addr));
      origin.interface_index = static_cast<unsigned>(info.ipi_ifindex);
    }
  }
}

template <class Info>
void put_control(msghdr& message, Control& control, int level, int type, const Info& info) {
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(sizeof info);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
}

void put_source(msghdr& message, Control& control, const DatagramOrigin& to) {
  const auto bytes = to.local->bytes();
  if (to.local->is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, bytes.data(), bytes.size());
    return put_control(message, control, IPPROTO_IP, IP_PKTINFO, info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
  // Routing chooses the interface, except where an address means nothing without one.
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = to.interface_index;
  put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

}  // namespace

base::IpAddress DatagramOrigin::client() const {
  return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(peer)).address;
}

std::optional<Datagram> receive_datagram(int socket, std::span<std::byte> into) {
  Datagram datagram;
  alignas(cmsghdr) Control control{};
  iovec data{into.data(), into.size()};
  msghdr message{};
  message.msg_name = &datagram.origin.peer;
  message.msg_namelen = sizeof datagram.origin.peer;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0) return std::nullopt;
  datagram.size = static_cast<std::size_t>(size);
  datagram.origin.peer_length = message.msg_namelen;
  read_control(message, datagram.origin);
  return datagram;
}

void send_datagram(int socket, const DatagramOrigin& to, std::span<std::byte> bytes) {
  alignas(cmsghdr) Control control{};
  iovec data{bytes.data(), bytes.size()};
  sockaddr_storage peer = to.peer;
  msghdr message{};
  message.msg_name = &peer;
  message.msg_namelen = to.peer_length;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (to.local) put_source(message, control, to);
  (void)::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace soleroute::gateway::dns
