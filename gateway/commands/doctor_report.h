// What `gateway doctor` makes of the facts it finds: one finding a line, each with what to do about it.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/commands/container_marks.h"
#include "gateway/host/netns_processes.h"
#include "gateway/netlink/links.h"
#include "netrules/kernel.h"

namespace soleroute::gateway::commands {

enum class Place { kMachine, kGateway, kGuard, kAgent };  // where doctor was asked: outside containers, or in whose

struct EngineNetwork {  // one network as the engine describes it
  std::string name;
  bool internal = false;
  bool ipv6 = false;
  bool masquerade = true;
  std::string bridge;  // name of its interface on the machine
  std::vector<base::Cidr> subnets;
  std::optional<std::string> route_v4;  // aux address DefaultGatewayIPv4
  std::optional<std::string> route_v6;
  bool operator==(const EngineNetwork&) const = default;
};

// A resolver that answers names with addresses which only represent them.
struct Placeholders {
  std::string resolver;
  base::Cidr range;
};

struct DoctorFacts {
  Place place = Place::kMachine;
  base::Result<netrules::Features> kernel = base::system_error("not checked");
  host::NetworkPowers powers;                // of this process, or what it could gain
  host::NetworkPowers effective_powers;      // what this process can use now
  bool jail = false;                         // this is the inside of 'gateway run'
  std::vector<std::string> netns_processes;  // host::describe_netns_processes()
  bool rules_left_over = false;              // the gateway's table is here, and no gateway or guard runs
  bool user_namespaces = false;              // may be made without privilege, for the jail
  std::optional<bool> bridge_netfilter;      // bridged IPv4 frames meet the engine's rules; absent: not known here
  base::Result<std::vector<EngineNetwork>> networks = base::system_error("not checked");
  std::vector<netlink::Interface> interfaces;
  std::vector<base::InterfaceAddress> claim;       // what the gateway is told to claim
  std::vector<base::IpAddress> claimed_elsewhere;  // of these, those that somebody else answers for
  std::vector<base::Endpoint> refusing_resolvers;  // of resolv.conf, those where nobody listens
  std::vector<std::string> answering_resolvers;    // that the gateway would ask
  std::vector<std::string> silent_resolvers;       // the same
  std::vector<std::string> resolver_faults;        // a sentence each
  std::vector<Placeholders> placeholders{};
};

enum class Level { kOk, kNote, kProblem };

struct Finding {
  Level level = Level::kOk;
  std::string what;
  std::string fix;  // empty where nothing need be done
  bool operator==(const Finding&) const = default;
};
// "PROBLEM  what", and a line with the fix if there is one; with line ends.
[[nodiscard]] std::string to_text(const Finding& finding);
// {"findings":[{"level":"ok|note|problem","text":…,"fix":…}]}; "fix" is empty where nothing need be done.
[[nodiscard]] std::string to_json(const std::vector<Finding>& findings);

// A default route over loopback: no other network has one.
[[nodiscard]] bool is_jail(const std::vector<netlink::Interface>& interfaces,
                           const std::vector<netlink::DefaultRoute>& routes);

[[nodiscard]] std::vector<Finding> diagnose(const DoctorFacts& facts);

// The answer of the engine's GET /networks.
[[nodiscard]] base::Result<std::vector<EngineNetwork>> parse_networks(std::string_view json);

}  // namespace soleroute::gateway::commands
