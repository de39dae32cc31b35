// Asynchronous resolution of allowed names by upstream servers, cached and checked.
// One per worker, used on that worker's io_context only; the cache behind it is shared and thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/dns/name_book.h"

namespace soleroute::gateway::dns {

struct ResolverOptions {
  std::vector<base::Endpoint> upstreams;              // tried in order of health; never empty
  std::chrono::milliseconds attempt_timeout{1500};    // one upstream, one try
  std::chrono::milliseconds total_timeout{5000};      // one question
  std::chrono::seconds max_ttl{300};                  // cached no longer than this
  std::chrono::seconds min_ttl{1};
};

struct Addresses {
  std::vector<base::IpAddress> v6;
  std::vector<base::IpAddress> v4;
  std::chrono::seconds ttl{0};
};

class Cache;  // shared by the resolvers of all workers
[[nodiscard]] std::shared_ptr<Cache> make_cache(std::size_t max_entries = 65536);

class Resolver {
 public:
  Resolver(boost::asio::io_context& io, ResolverOptions options, std::shared_ptr<Cache> cache,
           std::shared_ptr<NameBook> names, audit::Counters& counters);
  ~Resolver();

  // Both families. Answered from the cache without suspending when possible. NXDOMAIN and no data: empty vectors.
  // Time-outs and SERVFAIL: an error. Addresses are as upstream said: the caller applies policy::may_dial().
  // Every successful answer is remembered in the NameBook.
  [[nodiscard]] boost::asio::awaitable<base::Result<Addresses>> resolve(base::HostName name);
  // The cache only; null if not there. Never suspends: the fast path of a redirected connection.
  [[nodiscard]] std::shared_ptr<const Addresses> cached(const base::HostName& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::dns
