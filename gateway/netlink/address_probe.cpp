// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/address_probe.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <vector>

#include "base/fd.h"

namespace soleroute::gateway::netlink {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Octets = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, ETH_ALEN>;

// RFC 5227 section 2.1.1 and RFC 4862 section 5.1 wait seconds for answers; a container network answers within a
// millisecond and nobody may wait seconds for a gateway, so three probes are sent, and the time is short.
constexpr int kProbes = 3;
constexpr milliseconds kProbeWait{40};
constexpr std::size_t kMaxPacket = 2048;
constexpr std::uint8_t kNeighborHopLimit = 255;  // RFC 4861 section 7.1

// What to ask, whom, and which packet says that somebody else has the address.
struct Probe {
  std::uint16_t protocol;  // ETH_P_*
  Mac to;
  Octets packet;
  std::function<bool(const Octets&)> is_conflict;
};

template <class T>
Octets octets_of(const T& value) {
  Octets octets(sizeof value);
  std::memcpy(octets.data(), &value, sizeof value);
  return octets;
}

// The sender's address stays 0.0.0.0, so that nobody's cache is touched.
Probe arp_probe(const Mac& mac, const base::IpAddress& address) {
  ether_arp packet{};
  packet.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
  packet.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
  packet.ea_hdr.ar_hln = ETH_ALEN;
  packet.ea_hdr.ar_pln = 4;
  packet.ea_hdr.ar_op = htons(ARPOP_REQUEST);
  std::ranges::copy(mac, packet.arp_sha);
  std::ranges::copy(address.bytes(), packet.arp_tpa);
  Mac broadcast;
  broadcast.fill(0xff);
  // They answer for the address, or probe for it at the same time.
  const auto is_conflict = [mac, address](const Octets& received) {
    ether_arp answer{};
    if (received.size() < sizeof answer) return false;
    std::memcpy(&answer, received.data(), sizeof answer);
    if (std::ranges::equal(answer.arp_sha, mac)) return false;
    if (std::ranges::equal(answer.arp_spa, address.bytes())) return true;
    const bool probing = answer.ea_hdr.ar_op == htons(ARPOP_REQUEST) &&
                         std::ranges::all_of(answer.arp_spa, [](std::uint8_t octet) { return octet == 0; });
    return probing && std::ranges::equal(answer.arp_tpa, address.bytes());
  };
  return {ETH_P_ARP, broadcast, octets_of(packet), is_conflict};
}

std::uint32_t sum_words(const Octets& octets) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2)
    sum += static_cast<std::uint32_t>(octets[i] << 8 | octets[i + 1]);
  return sum;
}

// Over the pseudo-header of RFC 8200 section 8.1 and the message.
std::uint16_t icmpv6_checksum(const ip6_hdr& ip, const Octets& message) {
  Octets pseudo = octets_of(ip.ip6_src);
  const Octets destination = octets_of(ip.ip6_dst);
  pseudo.insert(pseudo.end(), destination.begin(), destination.end());
  std::uint32_t sum =
      sum_words(pseudo) + sum_words(message) + static_cast<std::uint32_t>(message.size()) + IPPROTO_ICMPV6;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<std::uint16_t>(~sum));
}

// A neighbour solicitation as duplicate address detection sends it (RFC 4862 section 5.4.2): from ::, to the
// solicited-node multicast address.
Probe neighbour_probe(const base::IpAddress& address) {
  nd_neighbor_solicit solicit{};
  solicit.nd_ns_hdr.icmp6_type = ND_NEIGHBOR_SOLICIT;
  std::ranges::copy(address.bytes(), solicit.nd_ns_target.s6_addr);
  ip6_hdr ip{};
  ip.ip6_flow = htonl(6U << 28);
  ip.ip6_plen = htons(sizeof solicit);
  ip.ip6_nxt = IPPROTO_ICMPV6;
  ip.ip6_hlim = kNeighborHopLimit;
  const std::array<std::uint8_t, 13> solicited{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};  // RFC 4291 section 2.7.1
  std::ranges::copy(solicited, ip.ip6_dst.s6_addr);
  std::ranges::copy(address.bytes().last(3), ip.ip6_dst.s6_addr + solicited.size());
  solicit.nd_ns_hdr.icmp6_cksum = icmpv6_checksum(ip, octets_of(solicit));
  Octets packet = octets_of(ip);
  const Octets message = octets_of(solicit);
  packet.insert(packet.end(), message.begin(), message.end());
  const auto low = address.bytes().last(3);
  const Mac multicast{0x33, 0x33, 0xff, low[0], low[1], low[2]};  // RFC 2464 section 7
  // Anybody's advertisement of the address, or a solicitation from :: like ours. The kernel does not hand us our own.
  const auto is_conflict = [address](const Octets& received) {
    constexpr std::size_t kSource = offsetof(ip6_hdr, ip6_src), kType = sizeof(ip6_hdr);
    constexpr std::size_t kTarget = kType + offsetof(nd_neighbor_solicit, nd_ns_target);
    if (received.size() < kTarget + 16 || received[offsetof(ip6_hdr, ip6_nxt)] != IPPROTO_ICMPV6) return false;
    if (!std::equal(address.bytes().begin(), address.bytes().end(), &received[kTarget])) return false;
    if (received[kType] == ND_NEIGHBOR_ADVERT) return true;
    return received[kType] == ND_NEIGHBOR_SOLICIT &&
           std::all_of(&received[kSource], &received[kSource] + 16, [](std::uint8_t octet) { return octet == 0; });
  };
  return {ETH_P_IPV6, multicast, std::move(packet), is_conflict};
}

base::Result<Mac> hardware_address(const base::Fd& socket, int index) {
  ifreq request{};
  if (::if_indextoname(static_cast<unsigned>(index), request.ifr_name) == nullptr ||
      ::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) {
    return base::errno_error("cannot read an interface's hardware address");
  }
  Mac mac{};
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

base::Result<bool> answered_before(Clock::time_point deadline, const base::Fd& socket, const Probe& probe) {
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wait{socket.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return base::errno_error("cannot wait for answers to an address probe");
    if (ready <= 0) continue;
    Octets packet(kMaxPacket);
    const ssize_t got = ::recv(socket.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    packet.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    if (probe.is_conflict(packet)) return true;
  }
}

sockaddr_ll link_name(int index, std::uint16_t protocol) {
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_protocol = htons(protocol);
  link.sll_ifindex = index;
  return link;
}

}  // namespace

base::Result<bool> address_in_use(int index, const base::IpAddress& address) {
  const std::uint16_t protocol = address.is_v4() ? ETH_P_ARP : ETH_P_IPV6;
  const base::Fd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return base::errno_error("cannot open a packet socket for an address probe (needs CAP_NET_RAW)");
  sockaddr_ll link = link_name(index, protocol);
  const auto* name = reinterpret_cast<const sockaddr*>(&link);
  if (::bind(socket.get(), name, sizeof link) != 0) return base::errno_error("cannot listen on an interface");
  SR_LET(mac, hardware_address(socket, index));
  const Probe probe = address.is_v4() ? arp_probe(*mac, address) : neighbour_probe(address);
  link.sll_halen = ETH_ALEN;
  std::ranges::copy(probe.to, link.sll_addr);
  for (int sent = 0; sent < kProbes; ++sent) {
    if (::sendto(socket.get(), probe.packet.data(), probe.packet.size(), 0, name, sizeof link) < 0) {
      return base::errno_error("cannot send an address probe");
    }
    const auto answered = answered_before(Clock::now() + kProbeWait, socket, probe);
    if (!answered || *answered) return answered;
  }
  return false;
}

}  // namespace soleroute::gateway::netlink
