// Into which parts two policies divide the requests to one name: within a part, neither decides differently.
// Borrows from both policies.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/policy_data.h"

namespace soleroute::policy {

// A label, method, path segment and parameter that no policy has.
inline constexpr std::string_view kFresh = "soleroute-other";

struct Part {
  Scheme scheme = Scheme::kNone;  // none: neither HTTP nor TLS
  Transport transport = Transport::kTcp;
  std::uint16_t port = 0;
  std::string method{};
  std::string target{};
};

// Entries of `deny:` by the name that their pattern is about.
class DenyIndex {
 public:
  explicit DenyIndex(const Policy::Data& data);
  // Calls `each` with every record whose pattern covers `name`.
  template <class Each>
  void covering(std::string_view name, Each each) const {
    for (std::string_view above = name;;) {
      for (const auto* record : about(above)) {
        if (above == name || is_wildcard(record->pattern)) each(*record);
      }
      if (above.empty()) return;
      const auto dot = above.find('.');
      above = dot == std::string_view::npos ? std::string_view{} : above.substr(dot + 1);
    }
  }

 private:
  [[nodiscard]] std::span<const DenyRecord* const> about(std::string_view suffix) const {
    const auto found = by_suffix_.find(suffix);
    return found == by_suffix_.end() ? std::span<const DenyRecord* const>{} : found->second;
  }

  std::unordered_map<std::string_view, std::vector<const DenyRecord*>> by_suffix_;
};

struct Side {
  const Policy::Data& data;
  DenyIndex denies;
  explicit Side(const Policy::Data& of) : data(of), denies(of) {}
};

// Empty: there are more than `most`.
[[nodiscard]] std::vector<Part> parts_of(const base::HostName& name, const Side& before, const Side& after,
                                         std::size_t most);

// One port of each stretch between turns of these ranges: 1, the first of each, and the one behind each.
[[nodiscard]] std::set<std::uint16_t> ports_between(std::span<const base::PortRanges> ranges);

// One address of each part into which these ranges divide themselves.
[[nodiscard]] std::vector<base::IpAddress> addresses_between(std::vector<base::Cidr> ranges);

// Endpoints and entries of `deny:` by address.
class Ranges {
 public:
  // `count`: 1 for the new policy, -1 for the old one.
  void add_endpoints(const Policy::Data& data, int count);
  void add_denies(const Policy::Data& data, int count);
  // One address of each part that is in an entry which only one policy has: elsewhere both say the same.
  [[nodiscard]] std::vector<base::IpAddress> changed_addresses() const;
  // One port of each stretch that an entry about `address` begins or ends.
  [[nodiscard]] std::set<std::uint16_t> ports_at(const base::IpAddress& address) const;

 private:
  void add(std::string_view kind, const base::Cidr& range, const base::PortRanges& ports, int count);

  std::vector<base::Cidr> ranges_;
  std::vector<base::PortRanges> ports_;
  std::map<std::string, std::pair<int, base::Cidr>> entries_;
};

// An exact address and a range of loopback addresses may mean the gateway's own; a wider range never does.
[[nodiscard]] bool may_mean_own(const base::Cidr& range);

// Ranges of `more` that none of `known` covers.
[[nodiscard]] std::vector<base::Cidr> added_ranges(std::span<const base::Cidr> known, std::span<const base::Cidr> more);

// One client of each kind: no agent, of either family, and one address of each part of the agents' ranges.
[[nodiscard]] std::vector<base::IpAddress> clients_of(const Policy& before, const Policy& after);

}  // namespace soleroute::policy
