// The gateway's DNS server: UDP and TCP, decides each question by the policy, answers denied names with an address that
// leads to the refusal.
// One per worker, on that worker's io_context.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/denied_addresses.h"
#include "gateway/dns/resolver.h"
#include "gateway/dns/search_list.h"
#include "gateway/net/own_address.h"
#include "policy/policy.h"

namespace soleroute::gateway::dns {

struct ServerOptions {
  std::vector<base::IpAddress> own_addresses;  // the gateway as clients see it; a family without one answers NODATA
  // That in force for this client, asked once per question.
  std::function<std::shared_ptr<const policy::Policy>(const base::IpAddress& client)> policy;
  // Must this client ask over TCP, since a datagram does not prove that the address is its own?
  std::function<bool(const base::IpAddress& client)> must_use_tcp = [](const base::IpAddress&) { return false; };
  // This machine's: told for a name only if its entry lists them. Those that it had at the start, and those of now;
  // where nothing is known of the latter, no address is told.
  std::vector<base::IpAddress> local_addresses{};
  net::DescriptorBudget* descriptors = nullptr;  // charged for connections; null: no limit
  std::shared_ptr<const net::OwnAddressBook> here{};
  std::shared_ptr<DeniedAddresses> denied = std::make_shared<DeniedAddresses>();  // of all workers; never null
  std::shared_ptr<SearchedNames> searched = std::make_shared<SearchedNames>();    // of all workers; never null
  // Is this name reached through an upstream proxy, which resolves it itself? Empty: none is. Such a name is answered
  // with an address that represents it where it does not resolve here.
  std::function<bool(const base::HostName&)> by_proxy{};
};

class Server {
 public:
  // `udp` sockets are bound, non-blocking, IP_PKTINFO/IPV6_RECVPKTINFO set by the caller of bind (see
  // net/listen.h); `tcp` sockets are listening. Answers leave from the address the query came to.
  Server(boost::asio::io_context& io, ServerOptions options, std::vector<base::Fd> udp, std::vector<base::Fd> tcp,
         Resolver& resolver, std::shared_ptr<ReverseNames> names, audit::DecisionLog& log, audit::Counters& counters);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();
  void start();
  void stop();  // closes sockets; on the worker's thread

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::dns
