// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/cache.h"

#include <algorithm>

namespace soleroute::gateway::dns {
namespace {

using sniffer::DnsType;

constexpr std::array kKindTypes{DnsType::kA,    DnsType::kAaaa, DnsType::kHttps,
                                DnsType::kSvcb, DnsType::kSrv,  DnsType::kTxt};
constexpr std::size_t kV4 = 0;
constexpr std::size_t kV6 = 1;

}  // namespace

std::shared_ptr<Cache> make_cache(std::size_t max_entries) {
  return std::make_shared<Cache>(max_entries);
}

Cache::Cache(std::size_t max_names) {
  for (std::size_t i = 0; i < kShards; ++i) shards_.push_back(std::make_unique<Shard>(max_names / kShards));
}

bool Cache::is_cacheable(DnsType type) {
  return std::ranges::find(kKindTypes, type) != kKindTypes.end();
}

std::size_t Cache::kind(DnsType type) {
  return static_cast<std::size_t>(std::ranges::find(kKindTypes, type) - kKindTypes.begin());
}

Cache::Shard& Cache::shard(const base::HostName& name) const {
  return *shards_[std::hash<base::HostName>{}(name) % kShards];
}

Cache::Held Cache::held(const base::HostName& name, DnsType type) const {
  if (!is_cacheable(type)) return {};
  Shard& home = shard(name);
  const std::lock_guard lock(home.mutex);
  const Entry* entry = home.names.find(name);
  return entry == nullptr ? Held{} : Held{entry->sets[kind(type)], entry->came[kind(type)]};
}

std::shared_ptr<const RecordSet> Cache::find(const base::HostName& name, DnsType type) const {
  const auto [set, came] = held(name, type);
  return set && set->expires > Clock::now() ? set : nullptr;
}

std::shared_ptr<const RecordSet> Cache::stale(const base::HostName& name, DnsType type) const {
  const auto [set, came] = held(name, type);
  if (!set || set->failed || !set->name_exists) return nullptr;
  if (came.time_since_epoch().count() < policy_since_) return nullptr;
  const auto now = Clock::now();
  const auto since = set->stale_since.value_or(set->expires);
  if (since > now || now - since > kMaxStale) return nullptr;
  auto again = std::make_shared<RecordSet>(*set);
  again->stale_since = since;
  again->expires = now + kStaleTtl;
  return again;
}

std::shared_ptr<const Addresses> Cache::addresses(const base::HostName& name) const {
  Shard& home = shard(name);
  const std::lock_guard lock(home.mutex);
  const Entry* entry = home.names.find(name);
  if (entry == nullptr || !entry->both || entry->both_expire <= Clock::now()) return nullptr;
  return entry->both;
}

// Of what a zone may fill with bytes of its choice.
std::size_t Cache::weight(const RecordSet& set) {
  std::size_t bytes = 0;
  for (const auto& location : set.locations) bytes += sizeof location + location.target.text().size();
  for (const auto& text : set.texts) bytes += sizeof(std::vector<std::byte>) + text.size();
  return bytes;
}

void Cache::store(const base::HostName& name, DnsType type, std::shared_ptr<const RecordSet> set) {
  if (weight(*set) > kMaxWeight) return;
  Shard& home = shard(name);
  const std::lock_guard lock(home.mutex);
  Entry& entry = home.names.touch(name);
  if (!set->stale_since) entry.came[kind(type)] = Clock::now();
  entry.sets[kind(type)] = std::move(set);
  if (type == DnsType::kA || type == DnsType::kAaaa) join_families(entry);
}

void Cache::join_families(Entry& entry) {
  entry.both = nullptr;
  const auto& v4 = entry.sets[kV4];
  const auto& v6 = entry.sets[kV6];
  if (!v4 || !v6 || (v4->failed && v6->failed)) return;
  entry.both_expire = std::min(v4->expires, v6->expires);
  auto both = std::make_shared<Addresses>();
  both->v4 = v4->addresses;
  both->v6 = v6->addresses;
  both->ttl = std::chrono::ceil<std::chrono::seconds>(entry.both_expire - Clock::now());
  entry.both = std::move(both);
}

std::size_t Cache::size() const {
  std::size_t total = 0;
  for (const auto& home : shards_) {
    const std::lock_guard lock(home->mutex);
    total += home->names.size();
  }
  return total;
}

}  // namespace soleroute::gateway::dns
