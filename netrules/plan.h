// The rules that each topology needs, as one value: what is shown is what is programmed.
// Pure: no kernel, no clock.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "netrules/ruleset.h"

namespace soleroute::netrules {

enum class Topology : std::uint8_t {
  kRouter,   // prerouting redirects what arrives on the inside interface; forward denies; input is closed but for us
  kSidecar,  // output redirects what the gateway did not send itself (packet mark); shared network namespace
  kJail,     // as sidecar, but the gateway is outside: nothing is exempt; loopback only
  kGuard,    // the agent's own namespace in Compose: only DNS, 80, 443 and endpoints may leave, towards the gateway
};

// As `--topology` and `gateway status` name it.
[[nodiscard]] constexpr std::string_view to_string(Topology topology) {
  constexpr std::array<std::string_view, 4> kNames{"router", "sidecar", "jail", "guard"};
  return kNames[static_cast<std::size_t>(topology)];
}

struct EndpointRule {  // one compiled `endpoints:` item, redirected to the gateway which decides it
  enum class Transport : std::uint8_t { kTcp, kUdp } transport = Transport::kTcp;
  std::optional<base::Cidr> cidr;    // absent: by host name, decided by the gateway from its own DNS answers
  std::vector<std::uint16_t> ports;  // single ones
  std::string comment{};             // "policy.yaml:12", shown in the text
  base::PortRanges ranges{};         // of more than one port; a rule for each
  bool operator==(const EndpointRule&) const = default;
};

struct Intent {
  Topology topology = Topology::kRouter;
  std::string table = "soleroute";            // one own inet table
  std::string inside_interface;               // router: where the agents are
  std::uint16_t redirect_port = 0;            // TCP 80, 443 and endpoints
  std::uint16_t dns_port = 0;                 // UDP and TCP 53
  std::uint16_t explicit_proxy_port = 0;      // 0: off
  std::uint16_t udp_port = 0;                 // UDP endpoints; 0: they are refused
  std::uint32_t gateway_mark = 0;             // sidecar: SO_MARK of the gateway's own sockets
  std::uint16_t metrics_port = 0;             // sidecar: refused to the agent like the listeners; 0: none
  std::optional<std::uint16_t> packet_queue;  // NFQUEUE number for the first packet of refused flows
  bool native_queue = true;                   // false: xtables NFQUEUE as a compat target
  std::vector<EndpointRule> endpoints;
  // The networks of the addresses that DNS gives for denied names. TCP to them ends at the gateway, which says what was
  // refused, but for kPortsWithoutHttp, which are refused at once even if an endpoint has that port. In a guard: all
  // networks that a gateway may choose.
  std::vector<base::Cidr> denied_networks{};
  // An upstream proxy resolves names: such an address may represent the name of an endpoint too, whose ports are then
  // not among those that are refused at once.
  bool endpoints_by_proxy = false;
  bool capture_all_tcp = false;  // not only 80, 443 and endpoints: the gateway decides every port (observing)
  // Guard: the gateway as the agent's routes name it, one of each family in use. Never empty there.
  std::vector<base::IpAddress> gateway_addresses;
  // Guard: TCP ports on which servers of the agent are reached from outside; what leaves are the answers alone.
  std::vector<std::uint16_t> published_ports{};
};

// Ports on which clients wait for the server or speak neither HTTP nor TLS first: a reset says more there than a page.
// FTP, SSH, telnet, mail, DNS, news, IRC, LDAP, SMB, rsync, NFS, XMPP, databases, message queues, remote desktops, git,
// caches.
inline constexpr std::array<std::uint16_t, 36> kPortsWithoutHttp{
    21,   22,   23,   25,   53,   110,  119,  139,  143,  194,  389,  445,  465,  587,  636,  873,  993,   995,
    1433, 1521, 1883, 2049, 3306, 3389, 5222, 5432, 5672, 5900, 6379, 6667, 6697, 9042, 9092, 9418, 11211, 27017};

// The first packets of refused flows that the queue is given; what is above is refused just the same, unlogged.
inline constexpr std::uint32_t kQueuedPerSecond = 100;
inline constexpr std::uint32_t kQueuedBurst = 100;

// Both refuse an intent that they cannot carry out whole, naming what is wrong with it. The chains are described in
// docs/rules.md. UDP other than DNS and that of `endpoints` is refused.

// Before anything listens: nothing passes, and nothing that was open before is grandfathered. Ports may still be 0.
[[nodiscard]] base::Result<Ruleset> closed_rules(const Intent& intent);
// While serving.
[[nodiscard]] base::Result<Ruleset> open_rules(const Intent& intent);

}  // namespace soleroute::netrules
