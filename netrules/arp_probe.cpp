// SPDX-License-Identifier: GPL-3.0-or-later
#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
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

#include "base/fd.h"
#include "netrules/links.h"

namespace soleroute::netrules {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// RFC 5227 section 2.1.1 sends 3 probes 1 to 2 s apart; a container network answers within a millisecond, and nobody
// may wait seconds for a gateway, so the number stays and the time does not.
constexpr int kProbes = 3;
constexpr milliseconds kProbeWait{40};

using Mac = std::array<std::uint8_t, ETH_ALEN>;

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

ether_arp probe_packet(const Mac& mac, const base::IpAddress& address) {
  ether_arp packet{};
  packet.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
  packet.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
  packet.ea_hdr.ar_hln = ETH_ALEN;
  packet.ea_hdr.ar_pln = 4;
  packet.ea_hdr.ar_op = htons(ARPOP_REQUEST);
  std::ranges::copy(mac, packet.arp_sha);
  std::ranges::copy(address.bytes(), packet.arp_tpa);  // the sender's address stays 0.0.0.0: nobody's cache is touched
  return packet;
}

// Somebody else has the address if they answer for it, or probe for it at the same time (RFC 5227 section 2.1.1).
bool is_conflict(const ether_arp& packet, const Mac& mac, const base::IpAddress& address) {
  if (std::ranges::equal(packet.arp_sha, mac)) return false;
  if (std::ranges::equal(packet.arp_spa, address.bytes())) return true;
  const bool is_probe = packet.ea_hdr.ar_op == htons(ARPOP_REQUEST) &&
                        std::ranges::all_of(packet.arp_spa, [](std::uint8_t octet) { return octet == 0; });
  return is_probe && std::ranges::equal(packet.arp_tpa, address.bytes());
}

base::Result<bool> answered_before(Clock::time_point deadline, const base::Fd& socket, const Mac& mac,
                                   const base::IpAddress& address) {
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wait{socket.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return base::errno_error("cannot wait for ARP answers");
    if (ready <= 0) continue;
    ether_arp packet{};
    const ssize_t got = ::recv(socket.get(), &packet, sizeof packet, MSG_DONTWAIT);
    if (got == sizeof packet && is_conflict(packet, mac, address)) return true;
  }
}

}  // namespace

base::Result<bool> address_in_use(int index, const base::IpAddress& address) {
  if (address.is_v6()) return false;  // the kernel's own duplicate address detection (RFC 4862 section 5.4) sees to it
  const base::Fd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP)));
  if (!socket) return base::errno_error("cannot open a packet socket for an ARP probe (needs CAP_NET_RAW)");
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_protocol = htons(ETH_P_ARP);
  link.sll_ifindex = index;
  link.sll_halen = ETH_ALEN;
  std::ranges::fill_n(link.sll_addr, ETH_ALEN, std::uint8_t{0xff});
  const auto* name = reinterpret_cast<const sockaddr*>(&link);
  if (::bind(socket.get(), name, sizeof link) != 0) return base::errno_error("cannot listen for ARP answers");
  const auto mac = hardware_address(socket, index);
  if (!mac) return std::unexpected(mac.error());
  const ether_arp packet = probe_packet(*mac, address);
  for (int probe = 0; probe < kProbes; ++probe) {
    if (::sendto(socket.get(), &packet, sizeof packet, 0, name, sizeof link) < 0) {
      return base::errno_error("cannot send an ARP probe");
    }
    const auto answered = answered_before(Clock::now() + kProbeWait, socket, *mac, address);
    if (!answered || *answered) return answered;
  }
  return false;
}

}  // namespace soleroute::netrules
