// Asynchronous resolution of allowed names by upstream servers, cached and checked.
// One per worker, used on that worker's io_context only; the cache behind it is shared and thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/dns/client_limits.h"
#include "gateway/dns/reverse_names.h"
#include "gateway/dns/tls_upstreams.h"
#include "gateway/dns/upstream_traits.h"
#include "gateway/dns/upstreams.h"
#include "gateway/net/descriptor_budget.h"
#include "gateway/net/nat64_book.h"
#include "policy/nat64.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

class StaticNames;  // gateway/dns/static_names.h

struct ResolverOptions {
  std::vector<Upstream> upstreams;                  // those for a name are tried in order of health; never empty
  std::chrono::milliseconds attempt_timeout{1500};  // one upstream, one try
  std::chrono::milliseconds total_timeout{5000};    // one question
  std::chrono::seconds max_ttl{300};                // cached no longer than this
  std::chrono::seconds min_ttl{1};
  std::chrono::seconds max_negative_ttl{60};  // "no such name" and "no data"
  std::uint32_t mark = 0;                     // SO_MARK on sockets towards upstreams; 0: none
  ConnectTls connect_tls{};                   // null: servers over TLS are not asked
  std::shared_ptr<UpstreamTraits> traits{};   // of the resolvers of all workers; null: this resolver's own
  std::shared_ptr<StaticNames> fixed{};       // names that are not asked for; null: none
  std::shared_ptr<net::Nat64Book> nat64{};    // of this network; null: none is known
};

struct Addresses {
  std::vector<base::IpAddress> v6;
  std::vector<base::IpAddress> v4;
  std::chrono::seconds ttl{0};
  bool fixed = false;  // people wrote them down: what DNS said before does not count
};

struct RecordSet;  // one name, one type: gateway/dns/cache.h
class Cache;       // shared by the resolvers of all workers
[[nodiscard]] std::shared_ptr<Cache> make_cache(std::size_t max_entries = 65536);

// What a client's look-ups are counted against.
struct LookupBudgets {
  std::shared_ptr<ClientLimits> clients;         // of all workers; null: this resolver's own
  net::DescriptorBudget* descriptors = nullptr;  // this worker's, and who is one client; null: no limit
};

class Resolver {
 public:
  Resolver(boost::asio::io_context& io, ResolverOptions options, std::shared_ptr<Cache> cache,
           std::shared_ptr<ReverseNames> names, audit::Counters& counters, LookupBudgets budgets = {});
  ~Resolver();

  // Both families, asked in parallel. Answered from the cache without suspending when possible. NXDOMAIN and no data:
  // empty vectors. Time-outs and SERVFAIL of both families: an error. When one family has addresses and the other is
  // late, the one is answered kResolutionDelay later. Addresses are as upstream said: the caller applies
  // policy::may_dial(). Every successful answer is remembered in the ReverseNames. Identical questions that are under
  // way are joined. Names that mean this host or this gateway are never asked: an error. What the cache does not know
  // is one look-up of `client`; over its budget: an error that says so.
  [[nodiscard]] boost::asio::awaitable<base::Result<Addresses>> resolve(base::HostName name,
                                                                        base::IpAddress client = {});
  // The cache only, and what `client` is told of fixed names; null if not there. Never suspends: the fast path of a
  // redirected connection.
  [[nodiscard]] std::shared_ptr<const Addresses> cached(const base::HostName& name,
                                                        const base::IpAddress& client = {}) const;

  // One type that Cache::is_cacheable(). An error for time-outs and SERVFAIL, never null. `client` was admitted.
  [[nodiscard]] boost::asio::awaitable<base::Result<std::shared_ptr<const RecordSet>>> lookup(
      base::HostName name, sniffer::DnsType type, base::IpAddress client = {});
  // May the client with this key look one more name up? Each kAdmitted is ended by one done().
  [[nodiscard]] base::IpAddress key(const base::IpAddress& client) const;
  [[nodiscard]] ClientLimits::Verdict admit(const base::IpAddress& key);
  void done(const base::IpAddress& key);
  // The cache only; null if not there. A remembered failure is there, with RecordSet::failed.
  [[nodiscard]] std::shared_ptr<const RecordSet> cached(const base::HostName& name, sniffer::DnsType type,
                                                        const base::IpAddress& client = {}) const;

  // The NAT64 prefixes that are known now; never null.
  [[nodiscard]] std::shared_ptr<const policy::Nat64Prefixes> nat64() const;

  static constexpr std::chrono::milliseconds kResolutionDelay{50};  // RFC 8305 section 3
  static constexpr std::chrono::seconds kFailureTtl{5};             // RFC 9520 section 3.2
  static constexpr std::size_t kMaxFollowed = 16;                   // aliases whose targets are asked for, one question
  static constexpr std::size_t kMaxQuestions = 512;                 // under way at once, by one worker
  static constexpr std::size_t kKeptForFew = 128;                   // of them, for clients that have few
  static constexpr std::size_t kFew = 16;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the questions under way
};

}  // namespace soleroute::gateway::dns
