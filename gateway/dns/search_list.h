// Which denied names a resolver completed with a search domain (`search` and `ndots` of resolv.conf), so that no person
// typed them. Such a name does not exist: then the resolver goes on to the name that was typed.
// SearchedNames is thread-safe (one lock, never held across a wait); bounded: the client longest silent goes first.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/dns/bounded_map.h"
#include "policy/policy.h"

namespace soleroute::gateway::dns {

struct SearchList {
  static constexpr std::size_t kMaxDomains = 32;
  std::vector<base::HostName> domains{};
  unsigned ndots = 1;  // names with fewer dots are completed before they are asked as they are

  [[nodiscard]] bool has(std::string_view domain) const;
};

class SearchedNames {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxClients = 1024;
  static constexpr std::size_t kNamesPerClient = 16;
  static constexpr std::size_t kMaxTypedLabels = 8;  // longer names are looked for in front of a known domain alone
  static constexpr std::chrono::seconds kRemembered{60};

  explicit SearchedNames(SearchList list = {}) : list_(std::move(list)), clients_(kMaxClients) {}

  enum class Verdict : std::uint8_t {
    kTyped,      // a name like any other
    kCompleted,  // made of `typed` and a known search domain: it does not exist
    // Made of `typed`, which the policy allows, and what may be a search domain of the client's: it does not exist
    // either, and is recorded, because a client can make up any number of such names.
    kGuessed,
    // Made of `typed` and a search domain, after the client was told that `typed` does not exist. That answer was a
    // mistake: `typed` is the whole name that was meant, and the client asks here for the last time.
    kMeant,
  };
  struct Judgement {
    Verdict verdict = Verdict::kTyped;
    std::optional<base::HostName> typed{};  // unless kTyped
  };
  // About a name that the policy denies, asked now.
  [[nodiscard]] Judgement judge(const base::IpAddress& client, const base::HostName& name, const policy::Policy& policy,
                                Clock::time_point now);

 private:
  struct Heard {
    base::HostName name;
    Clock::time_point when{};
    bool completed = false;  // it came with a search domain behind it
    bool missing = false;    // the answer was that it does not exist
  };
  using Client = std::vector<Heard>;  // newest last
  static Heard& heard(Client& client, const base::HostName& name, Clock::time_point now);
  static const Heard* recall(const Client& client, const base::HostName& name, Clock::time_point now);
  [[nodiscard]] std::optional<base::HostName> before_domain(const base::HostName& name, const Client& client,
                                                            Clock::time_point now) const;

  SearchList list_;
  std::mutex mutex_;
  BoundedMap<base::IpAddress, Client> clients_;
};

}  // namespace soleroute::gateway::dns
