// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "gateway/jail/veth_stub.h"
#include "gateway/netlink/links.h"
#include "gateway/queue/packet_log.h"
#include "netrules/kernel.h"

namespace soleroute::gateway::jail {
namespace {

// Below the ports that the command may bind, and assigned to no service: no program misses them. Any free ones where
// the maker of the jail may not bind these either.
constexpr net::ListenPorts kUnwantedPorts{.redirected = 4, .dns = 6, .explicit_proxy = 0, .udp = 8};

// The fixed part of the hand-over; the descriptors follow in this order, the packet queue last.
struct Handover {
  net::ListenPorts ports;
  std::uint16_t redirected = 0;
  std::uint16_t dns_udp = 0;
  std::uint16_t dns_tcp = 0;
  std::uint16_t explicit_proxy = 0;
  std::uint16_t udp = 0;
  std::uint16_t conntrack = 0;
  std::uint16_t packet_queue = 0;
  std::uint16_t ipv6 = 0;
};

base::Status add_to(int interface, const base::IpAddress& address) {
  SR_TRY(netlink::add_address(interface, {address, address.bits()}));
  return netlink::add_default_route(
      {.family = address.family(), .via = std::nullopt, .interface_index = interface, .metric = 0});
}

base::Result<int> index_of(const std::vector<netlink::Interface>& interfaces, bool loopback) {
  const auto found = std::ranges::find_if(interfaces, [loopback](const netlink::Interface& interface) {
    return loopback ? interface.loopback : interface.name == kVethStub;
  });
  if (found == interfaces.end()) return base::system_error("an interface of the jail is not there");
  return found->index;
}

// Says whether there is IPv6. IPv4 has an interface that leads nowhere, where the kernel can make one: it sends no ICMP
// error, and so no refusal of UDP, for what is routed to loopback under an address that is not its own; and programs
// that look for an interface besides loopback find one. IPv6 stays on loopback, where it has neither trouble; without
// it, or with it switched off, there is IPv4 alone.
base::Result<bool> set_up_interfaces() {
  const bool stub = make_veth_stub().has_value();
  SR_LET(interfaces, netlink::list_interfaces());
  SR_LET(loopback, index_of(*interfaces, true));
  SR_LET(v4, stub ? index_of(*interfaces, false) : loopback);
  for (const netlink::Interface& interface : *interfaces) {
    // The kernel may put others into every namespace (sit0 and its like): they stay down.
    if (!interface.loopback && interface.name != kVethStub && interface.name != kVethStubPeer) continue;
    SR_TRY(netlink::set_interface_up(interface.index));
  }
  SR_TRY(add_to(*v4, jail_address_v4()));
  return add_to(*loopback, jail_address_v6()).has_value();
}

enum class QueueKind { kNative, kCompat, kNone };

base::Status program(netrules::Kernel& kernel, netrules::Intent intent, QueueKind queue) {
  intent.native_queue = queue == QueueKind::kNative;
  if (queue != QueueKind::kNone) intent.packet_queue = queue::kPacketQueue;
  SR_LET(rules, netrules::open_rules(intent));
  return kernel.apply(*rules);
}

// What the kernel lacks, said properly; asked only when it has refused, because asking takes longer than all the rest.
base::Error explain_refusal(netrules::Kernel& kernel, base::Error refusal) {
  const auto features = kernel.probe();
  if (!features || features->missing().empty()) return refusal;
  return {fmt::format("{}", fmt::join(features->missing(), "\n")), base::ErrorKind::kSystem, refusal.sys_errno};
}

// The open rules in one transaction. Closed rules first would close nothing here, where nothing runs yet and no
// interface is up, and each transaction waits for a grace period of the kernel (5 to 15 ms). For the same reason the
// ways to queue a refused packet are tried rather than probed.
base::Status program_rules(const netrules::Intent& intent, bool queue) {
  const std::unique_ptr<netrules::Kernel> kernel = netrules::make_kernel();
  base::Status status;
  for (const QueueKind kind : {QueueKind::kNative, QueueKind::kCompat, QueueKind::kNone}) {
    if (kind != QueueKind::kNone && !queue) continue;
    status = program(*kernel, intent, kind);
    if (status) return status;
  }
  return std::unexpected(explain_refusal(*kernel, status.error()));
}

void hand_out(std::vector<base::Fd>& from, std::vector<base::Fd>& to, std::uint16_t& count) {
  count = static_cast<std::uint16_t>(from.size());
  std::ranges::move(from, std::back_inserter(to));
}

Message pack(net::Listeners listeners, base::Fd packet_queue, bool ipv6) {
  Handover head{.ports = listeners.ports};
  Message message;
  hand_out(listeners.redirected, message.fds, head.redirected);
  hand_out(listeners.dns_udp, message.fds, head.dns_udp);
  hand_out(listeners.dns_tcp, message.fds, head.dns_tcp);
  hand_out(listeners.explicit_proxy, message.fds, head.explicit_proxy);
  hand_out(listeners.udp, message.fds, head.udp);
  head.conntrack = listeners.conntrack ? 1 : 0;
  if (listeners.conntrack) message.fds.push_back(std::move(listeners.conntrack));
  head.packet_queue = packet_queue ? 1 : 0;
  if (packet_queue) message.fds.push_back(std::move(packet_queue));
  head.ipv6 = ipv6 ? 1 : 0;
  message.text.assign(reinterpret_cast<const char*>(&head), sizeof head);
  return message;
}

}  // namespace

base::IpAddress jail_address_v4() {
  return base::IpAddress::v4({100, 64, 0, 1});
}

base::IpAddress jail_address_v6() {
  return base::IpAddress::v6({0xfd, 0x73, 0x6f, 0x6c, 0x65, 0x72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

base::Result<Message> prepare_network(const NetworkRequest& request) {
  net::ListenRequest listen;
  listen.address = base::IpAddress::v6({});
  listen.ports = {.redirected = 0, .dns = 0, .explicit_proxy = request.explicit_proxy_port};
  listen.explicit_proxy = request.explicit_proxy_port != 0;
  listen.preferred = kUnwantedPorts;
  listen.udp = request.udp_endpoints;
  listen.workers = request.workers;
  SR_LET(listeners, net::open_listeners(listen));
  base::Fd packet_queue;
  // Without it, refused packets are refused all the same; only the log says less.
  if (auto opened = queue::open_packet_queue(queue::kPacketQueue)) packet_queue = std::move(*opened);

  netrules::Intent intent = request.intent;
  intent.topology = netrules::Topology::kJail;
  intent.redirect_port = listeners->ports.redirected;
  intent.dns_port = listeners->ports.dns;
  intent.explicit_proxy_port = listeners->ports.explicit_proxy;
  intent.udp_port = listeners->ports.udp;
  intent.packet_queue.reset();
  const bool queue = static_cast<bool>(packet_queue);
  SR_TRY(program_rules(intent, queue));
  // The interfaces come up last: until then there is no network at all.
  SR_LET(ipv6, set_up_interfaces());
  return pack(std::move(*listeners), std::move(packet_queue), *ipv6);
}

base::Result<Network> unpack_network(Message message) {
  Handover head;
  if (message.text.size() != sizeof head) return base::system_error("incomplete network description from the jail");
  std::memcpy(&head, message.text.data(), sizeof head);
  const std::size_t expected = std::size_t{head.redirected} + head.dns_udp + head.dns_tcp + head.explicit_proxy +
                               head.udp + head.conntrack + head.packet_queue;
  if (message.fds.size() != expected) return base::system_error("incomplete set of sockets from the jail");
  auto next = message.fds.begin();
  const auto take = [&next](std::uint16_t count) {
    const auto begin = next;
    std::advance(next, count);
    return std::vector<base::Fd>(std::make_move_iterator(begin), std::make_move_iterator(next));
  };
  Network network;
  network.listeners.ports = head.ports;
  network.listeners.redirected = take(head.redirected);
  network.listeners.dns_udp = take(head.dns_udp);
  network.listeners.dns_tcp = take(head.dns_tcp);
  network.listeners.explicit_proxy = take(head.explicit_proxy);
  network.listeners.udp = take(head.udp);
  if (auto conntrack = take(head.conntrack); !conntrack.empty()) {
    network.listeners.conntrack = std::move(conntrack.front());
  }
  if (head.packet_queue != 0) network.packet_queue = std::move(*next);
  network.own_addresses.push_back(jail_address_v4());
  if (head.ipv6 != 0) network.own_addresses.push_back(jail_address_v6());
  return network;
}

}  // namespace soleroute::gateway::jail
