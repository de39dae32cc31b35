// What every flow of one worker works with: borrowed references that outlive all flows.
// One per worker; used on its thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
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
class PolicyInForce;
struct PolicyView;

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
  // What decides, for all clients; null before use(). Flows ask policy_for().
  std::shared_ptr<const PolicyInForce> in_force{};
  // Where the gateway itself is addressed: the stand-in for loopback addresses of the gateway's machine.
  std::vector<base::IpAddress> own_addresses{};
  // Null: there is no CA, and what must be inspected is refused.
  std::shared_ptr<const inspect::Inspection> inspection{};
  // Secrets that the policy sends; null: there are none, and what needs one is refused.
  const secrets::SecretStore* secrets = nullptr;
  // What gateway.internal tells a client of its refusals; null: nothing.
  const RecentDenials* denials = nullptr;
  RefusalPages refusal_pages{};
  // Under the policy in force, by the policy of their client: at most one for each agent. See origin_sessions_for().
  std::unordered_map<const policy::Policy*, std::shared_ptr<inspect::OriginSessions>> origin_sessions{};
  // Null: an address that no answer gave stays without a name.
  dns::EndpointLookups* endpoint_lookups = nullptr;
  // Where what is denied waits for an operator; null: nothing waits.
  HeldRequests* held = nullptr;

  void use(std::shared_ptr<const PolicyInForce> policy);
  // The policy for this client; a flow asks once per decision.
  [[nodiscard]] std::shared_ptr<const policy::Policy> policy_for(const base::IpAddress& client) const;
  // What gateway.internal says of it, and its ports.
  [[nodiscard]] const PolicyView& view_for(const base::IpAddress& client) const;
  // Does a datagram from this address prove which agent sent it? A program may send from any IPv6 address, although it
  // gets no answer there (IPV6_FREEBIND); the kernel of an agent refuses that of IPv4.
  [[nodiscard]] bool proves_agent(const base::IpAddress& client) const;
  // Those of one agent, under the policy in force.
  [[nodiscard]] std::shared_ptr<inspect::OriginSessions> origin_sessions_for(const base::IpAddress& client);
  // Identity of the policy in force, for what was made under one and is not to be used under another.
  [[nodiscard]] std::weak_ptr<const void> policy_identity() const { return in_force; }
  [[nodiscard]] bool is_in_force(const std::weak_ptr<const void>& identity) const {
    return !identity.owner_before(in_force) && !in_force.owner_before(identity);
  }

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
  return client.granted ? client.granted : context.policy_for(client.peer.address);
}

// What has been read from the client and not yet consumed; replayed, never peeked.
using ReadAhead = std::vector<std::byte>;

}  // namespace soleroute::gateway::flow
