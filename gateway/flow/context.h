// What every flow of one worker works with: borrowed references that outlive all flows.
// One per worker; used on its thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ip_address.h"
#include "base/port_range.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/endpoint_lookups.h"
#include "gateway/dns/resolver.h"
#include "gateway/dns/reverse_names.h"
#include "gateway/flow/refusal_pages.h"
#include "gateway/inspect/inspection.h"
#include "gateway/inspect/origin_sessions.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/stream.h"
#include "gateway/secrets/secret_store.h"
#include "policy/policy.h"

namespace soleroute::gateway::flow {

class Connector;
class HeldRequests;
class RecentDenials;
class Registry;
class PipePool;
struct PolicyPages;

struct Context {
  boost::asio::io_context& io;
  net::DeadlineWheel& wheel;
  dns::Resolver& resolver;
  dns::ReverseNames& names;
  Connector& connector;
  Registry& registry;
  PipePool& pipes;
  audit::DecisionLog& log;
  audit::Counters& counters;
  // The snapshot in force; a flow asks once per decision.
  std::shared_ptr<const policy::Policy> policy;
  // Does any of its `endpoints:` list port 80 or 443? Rare, so that the common case need not ask for each connection.
  bool web_port_endpoints = false;
  // Ports besides 80 and 443 that its `domains:` list.
  base::PortRanges domain_ports{};
  // Where the gateway itself is addressed: the stand-in for loopback addresses of the gateway's machine.
  std::vector<base::IpAddress> own_addresses{};
  // Null: there is no CA, and what must be inspected is refused.
  std::shared_ptr<const inspect::Inspection> inspection{};
  // Secrets that the policy sends; null: there are none, and what needs one is refused.
  const secrets::SecretStore* secrets = nullptr;
  // What gateway.internal tells a client of its refusals; null: nothing.
  const RecentDenials* denials = nullptr;
  // What it says of the snapshot in force.
  std::shared_ptr<const PolicyPages> policy_pages{};
  // Those of the snapshot in force.
  std::shared_ptr<inspect::OriginSessions> origin_sessions = std::make_shared<inspect::OriginSessions>();
  RefusalPages refusal_pages{};
  // Null: an address that no answer gave stays without a name.
  dns::EndpointLookups* endpoint_lookups = nullptr;
  // Where what is denied waits for an operator; null: nothing waits.
  HeldRequests* held = nullptr;

  // `pages`: of this snapshot.
  void use(std::shared_ptr<const policy::Policy> snapshot, std::shared_ptr<const PolicyPages> pages);
  // The gateway itself, or the address of a denied name: it stands for a name, and no endpoint leads on from it.
  [[nodiscard]] bool is_own(const base::IpAddress& address) const;
};

// One accepted connection of an agent.
struct ClientConnection {
  std::unique_ptr<net::Stream> stream;
  base::Endpoint peer;
  base::Endpoint original_destination;  // before redirection; for the explicit proxy, the proxy itself
  bool self_check = false;              // the gateway's own: refused as any other, and no decision about an agent
  bool was_held = false;                // it has waited for an operator, in vain: nothing of it waits again
  // By an operator, for this connection alone; null: the snapshot in force.
  std::shared_ptr<const policy::Policy> granted{};

  // Where the client was going; nothing inside a tunnel of the explicit proxy.
  [[nodiscard]] std::optional<base::Endpoint> destination() const {
    return original_destination.address == base::IpAddress{} ? std::nullopt : std::optional(original_destination);
  }
};

// The policy that decides about a connection.
[[nodiscard]] inline std::shared_ptr<const policy::Policy> policy_of(const Context& context,
                                                                     const ClientConnection& client) {
  return client.granted ? client.granted : context.policy;
}

// What has been read from the client and not yet consumed; replayed, never peeked.
using ReadAhead = std::vector<std::byte>;

}  // namespace soleroute::gateway::flow
