// What upstream servers said, for as long as they said it: one set of records for each name and type.
// Thread-safe (sharded locks); bounded: the names longest not stored again go first.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/dns/bounded_map.h"
#include "gateway/dns/resolver.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

// One name, one type. Immutable once stored.
struct RecordSet {
  bool failed = false;      // upstream did not answer; remembered for a moment so that it is not asked at once again
  bool name_exists = true;  // false: NXDOMAIN
  std::vector<base::IpAddress> addresses;         // A or AAAA, as upstream said
  std::vector<sniffer::ServiceBinding> services;  // HTTPS or SVCB, reduced
  std::vector<sniffer::DnsService> locations{};   // SRV
  std::vector<std::vector<std::byte>> texts{};    // TXT
  std::string canonical;                          // where a CNAME chain ended; empty if there was none
  Clock::time_point expires;
  // Of an answer from before, told again because upstream gives none now: when it expired. None: it is no such answer.
  std::optional<Clock::time_point> stale_since;
};

class Cache {
 public:
  explicit Cache(std::size_t max_names);

  // Null when absent or expired.
  [[nodiscard]] std::shared_ptr<const RecordSet> find(const base::HostName& name, sniffer::DnsType type) const;
  // What upstream once said and says no more, for as long as it may be told again (RFC 8767): an answer about a
  // name that exists, which expired no longer than kMaxStale ago, and came under the policy in force. It is told for
  // kStaleTtl.
  [[nodiscard]] std::shared_ptr<const RecordSet> stale(const base::HostName& name, sniffer::DnsType type) const;
  static constexpr std::chrono::minutes kMaxStale{60};
  static constexpr std::chrono::seconds kStaleTtl{30};
  // What came before is not told once it has expired.
  void policy_changed() { policy_since_ = Clock::now().time_since_epoch().count(); }

  // Both families as one, when both are known; null otherwise, and when both failed.
  [[nodiscard]] std::shared_ptr<const Addresses> addresses(const base::HostName& name) const;
  // SRV and TXT sets above kMaxWeight are not kept. Precondition: is_cacheable(type).
  void store(const base::HostName& name, sniffer::DnsType type, std::shared_ptr<const RecordSet> set);
  [[nodiscard]] std::size_t size() const;  // names

  [[nodiscard]] static bool is_cacheable(sniffer::DnsType type);
  static constexpr std::size_t kMaxWeight = 1024;  // bytes of one SRV or TXT set

 private:
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kKinds = 6;  // A, AAAA, HTTPS, SVCB, SRV, TXT
  struct Entry {
    std::array<std::shared_ptr<const RecordSet>, kKinds> sets;
    std::array<Clock::time_point, kKinds> came;
    std::shared_ptr<const Addresses> both;
    Clock::time_point both_expire;
  };
  struct Shard {
    explicit Shard(std::size_t capacity) : names(capacity) {}
    mutable std::mutex mutex;
    BoundedMap<base::HostName, Entry> names;
  };
  static std::size_t kind(sniffer::DnsType type);
  static std::size_t weight(const RecordSet& set);
  static void join_families(Entry& entry);
  // Whatever is kept, also if it has expired.
  struct Held {
    std::shared_ptr<const RecordSet> set{};
    Clock::time_point came{};
  };
  [[nodiscard]] Held held(const base::HostName& name, sniffer::DnsType type) const;
  [[nodiscard]] Shard& shard(const base::HostName& name) const;

  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<Clock::rep> policy_since_{Clock::time_point::min().time_since_epoch().count()};
};

}  // namespace soleroute::gateway::dns
