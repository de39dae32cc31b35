// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/reverse_names.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "gateway/dns/bounded_map.h"

namespace soleroute::gateway::dns {
namespace {

constexpr std::size_t kShards = 16;
constexpr std::size_t kAddressesPerName = 64;
constexpr std::size_t kNamesPerAddress = 32;   // a content network's address leads from many names
constexpr std::size_t kAddressesPerEntry = 4;  // of the reverse table, for each name that may be held
constexpr std::size_t kMaxClients = 1024;
constexpr std::size_t kAskedPerClient = 32;

template <class T>
struct Known {
  T what;
  Clock::time_point until;
};

struct LetGoOfAny {
  template <class T>
  bool operator()(const T& /*what*/) const {
    return true;
  }
};

// The newest last; at most `limit` that may be let go of, of which the one that ends first makes room.
template <class T, class MayGo = LetGoOfAny>
void learn(std::vector<Known<T>>& known, const T& what, Clock::time_point until, std::size_t limit, MayGo may_go = {}) {
  const auto found = std::ranges::find(known, what, &Known<T>::what);
  if (found != known.end()) {
    const auto longest = std::max(found->until, until);
    known.erase(found);
    known.push_back({what, longest});
    return;
  }
  known.push_back({what, until});
  if (known.size() <= limit) return;
  const auto newest = std::prev(known.end());
  auto first = newest;
  std::size_t others = may_go(what) ? 1 : 0;
  for (auto each = known.begin(); each != newest; ++each) {
    if (!may_go(each->what)) continue;
    ++others;
    if (first == newest || each->until < first->until) first = each;
  }
  if (others > limit && first != newest) known.erase(first);
}

// A bounded map in shards, each under its own lock.
template <class Key, class Value>
class Sharded {
 public:
  explicit Sharded(std::size_t capacity) {
    for (auto& shard : shards_) shard = std::make_unique<Shard>(capacity / kShards);
  }

  template <class Change>
  void change(const Key& key, Change change) {
    Shard& shard = of(key);
    const std::lock_guard lock(shard.mutex);
    change(shard.map.touch(key));
  }
  // A default value if the key is absent.
  template <class Read>
  auto read(const Key& key, Read read) const {
    static const Value nothing{};
    Shard& shard = of(key);
    const std::lock_guard lock(shard.mutex);
    const Value* value = shard.map.find(key);
    return read(value == nullptr ? nothing : *value);
  }

 private:
  struct Shard {
    explicit Shard(std::size_t capacity) : map(capacity) {}
    std::mutex mutex;
    BoundedMap<Key, Value> map;
  };
  Shard& of(const Key& key) const { return *shards_[std::hash<Key>{}(key) % kShards]; }
  std::array<std::unique_ptr<Shard>, kShards> shards_;
};

struct RecentLookup {
  base::HostName name;
  bool denied = false;
};

using KnownAddresses = std::vector<Known<base::IpAddress>>;
using KeptNames = std::unordered_set<base::HostName>;
using KnownNames = std::vector<Known<base::HostName>>;

}  // namespace

struct ReverseNames::State {
  explicit State(std::size_t max_names)
      : by_name(max_names), by_address(max_names * kAddressesPerEntry), by_client(kMaxClients) {}
  Sharded<base::HostName, KnownAddresses> by_name;
  Sharded<base::IpAddress, KnownNames> by_address;
  Sharded<base::IpAddress, std::vector<RecentLookup>> by_client;  // newest last
  std::mutex kept_mutex;
  std::shared_ptr<const KeptNames> kept = std::make_shared<KeptNames>();
  std::mutex own_mutex;
  std::vector<base::IpAddress> own_addresses;
  std::shared_ptr<const DeniedAddresses> denied = std::make_shared<const DeniedAddresses>();

  [[nodiscard]] std::shared_ptr<const KeptNames> kept_names() {
    const std::lock_guard lock(kept_mutex);
    return kept;
  }
  [[nodiscard]] bool is_own(const base::IpAddress& address) {
    const std::lock_guard lock(own_mutex);
    return std::ranges::find(own_addresses, address) != own_addresses.end();
  }
};

ReverseNames::ReverseNames(std::size_t max_names) : state_(std::make_unique<State>(max_names)) {}
ReverseNames::~ReverseNames() = default;

void ReverseNames::set_own_addresses(std::vector<base::IpAddress> addresses) {
  const std::lock_guard lock(state_->own_mutex);
  state_->own_addresses = std::move(addresses);
}

void ReverseNames::keep(std::vector<base::HostName> names) {
  auto kept =
      std::make_shared<const KeptNames>(std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
  const std::lock_guard lock(state_->kept_mutex);
  state_->kept = std::move(kept);
}

bool ReverseNames::is_kept(const base::HostName& name) const {
  return state_->kept_names()->contains(name);
}

bool ReverseNames::is_own(const base::IpAddress& address) const {
  return state_->is_own(address);
}

void ReverseNames::use_denied(std::shared_ptr<const DeniedAddresses> addresses) {
  state_->denied = std::move(addresses);
}

bool ReverseNames::is_denied(const base::IpAddress& address) const {
  return state_->denied->contains(address);
}

void ReverseNames::remember(const base::HostName& name, const std::vector<base::IpAddress>& addresses,
                            Clock::time_point expires) {
  if (addresses.empty()) return;
  const auto until = expires + kGrace;
  state_->by_name.change(name, [&](KnownAddresses& known) {
    for (const auto& address : addresses) learn(known, address, until, kAddressesPerName);
  });
  const auto kept = state_->kept_names();
  const auto may_go = [&kept](const base::HostName& known) { return !kept->contains(known); };
  for (const auto& address : addresses) {
    state_->by_address.change(address, [&](KnownNames& known) { learn(known, name, until, kNamesPerAddress, may_go); });
  }
}

void ReverseNames::asked(const base::IpAddress& client, const base::HostName& name, bool denied) {
  state_->by_client.change(client, [&](std::vector<RecentLookup>& asked) {
    if (!asked.empty() && asked.back().name == name) {  // the other family of the same look-up
      asked.back().denied = denied;
      return;
    }
    std::erase_if(asked, [&](const RecentLookup& earlier) { return earlier.name == name; });
    if (asked.size() == kAskedPerClient) asked.erase(asked.begin());
    asked.push_back({name, denied});
  });
}

bool ReverseNames::leads_to(const base::HostName& name, const base::IpAddress& address) const {
  if (is_denied(address)) return false;
  const auto now = Clock::now();
  return state_->by_name.read(name, [&](const KnownAddresses& known) {
    return std::ranges::any_of(known, [&](const auto& entry) { return entry.what == address && entry.until > now; });
  });
}

std::vector<base::HostName> ReverseNames::names_of(const base::IpAddress& address) const {
  if (is_denied(address)) {
    auto name = state_->denied->name_of(address);
    return name ? std::vector{std::move(*name)} : std::vector<base::HostName>{};
  }
  const auto now = Clock::now();
  return state_->by_address.read(address, [&](const KnownNames& known) {
    std::vector<base::HostName> names;
    for (auto entry = known.rbegin(); entry != known.rend(); ++entry) {
      if (entry->until > now) names.push_back(entry->what);
    }
    return names;
  });
}

std::vector<base::HostName> ReverseNames::told(const base::IpAddress& client, const base::IpAddress& address) const {
  if (is_denied(address)) return {};
  const auto asked = state_->by_client.read(client, [](const std::vector<RecentLookup>& names) { return names; });
  std::vector<base::HostName> names;
  for (auto entry = asked.rbegin(); entry != asked.rend(); ++entry) {
    if (!entry->denied && leads_to(entry->name, address)) names.push_back(entry->name);
  }
  return names;
}

std::optional<base::HostName> ReverseNames::looked_up_as(const base::IpAddress& client,
                                                         const base::IpAddress& address) const {
  if (is_denied(address)) return state_->denied->name_for(client, address);
  const auto asked = state_->by_client.read(client, [](const std::vector<RecentLookup>& names) { return names; });
  const bool own = state_->is_own(address);
  for (auto entry = asked.rbegin(); entry != asked.rend(); ++entry) {
    if (entry->denied ? own : leads_to(entry->name, address)) return entry->name;
  }
  return std::nullopt;
}

}  // namespace soleroute::gateway::dns
