// Looks up the names of the policy's endpoints when a connection goes to an address that no answer gave: the client has
// it from an earlier gateway, from a file or from a pool.
// One per worker, used on its thread; what is learned goes to the ReverseNames of all workers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/dns/bounded_map.h"
#include "gateway/dns/resolver.h"
#include "gateway/dns/reverse_names.h"

namespace soleroute::gateway::dns {

class EndpointLookups {
 public:
  // A name is looked up once in this time, for all clients: connections to other addresses cause no more queries.
  static constexpr std::chrono::seconds kPause{2};
  static constexpr std::size_t kMaxNames = 64;  // of one connection
  static constexpr std::size_t kMaxKnown = 4096;

  EndpointLookups(boost::asio::io_context& io, Resolver& resolver, ReverseNames& names);
  ~EndpointLookups();

  // Until every name has its addresses or has failed. Look-ups of `client`; those under way are joined.
  [[nodiscard]] boost::asio::awaitable<void> look_up(std::vector<base::HostName> names, base::IpAddress client);

 private:
  struct Round;
  [[nodiscard]] boost::asio::awaitable<void> look_up_one(base::HostName name, base::IpAddress client,
                                                         std::shared_ptr<Round> round);

  boost::asio::io_context& io_;
  Resolver& resolver_;
  ReverseNames& names_;
  BoundedMap<base::HostName, Clock::time_point> ended_{kMaxKnown};  // when the last look-up of a name did
};

}  // namespace soleroute::gateway::dns
