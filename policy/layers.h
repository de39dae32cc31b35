// Policy layers being merged, in order, into host records and endpoints.
// Used by one thread; borrows nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "policy/policy_data.h"
#include "policy/policy_document.h"

namespace soleroute::policy {

// One thing a layer allows on a host.
struct Grant {
  std::shared_ptr<const RuleTerms> terms;  // null: everything
  Origin origin;
  std::string_view owner;  // the service it came from (names live in the catalog); empty: `domains:`
  bool optional = false;   // adds to what others allow: of an optional group, or a rule for a shared host of a service

  [[nodiscard]] bool same_terms(const Grant& other) const {
    return terms == other.terms || (terms && other.terms && *terms == *other.terms);
  }
};

// What entries of a service list under `addresses:`.
struct ServiceAddresses {
  std::string_view owner;  // the service (names live in the catalog)
  std::vector<base::Cidr> addresses{};
};

struct MergedHost {
  HostPattern pattern;
  Origin origin;
  std::vector<Grant> grants{};
  std::vector<base::Cidr> addresses{};
  std::vector<ServiceAddresses> service_addresses{};  // one for each service that gives any
  TlsMode tls = TlsMode::kUnstated;
  Origin tls_origin{};
  Position tls_position{};
  bool txt = false;
  std::vector<std::string> alpn{};
  Position alpn_position{};  // in `alpn_file`: the last layer that lists one
  std::uint32_t alpn_file = 0;
};

// A service that some entry names, over all layers.
struct ServiceUse {
  std::string_view name;              // lives in the catalog
  bool readonly = true;               // every entry says so
  std::vector<std::string> groups{};  // those of its optional groups that an entry names
  std::shared_ptr<const ServiceDocument> document{};
};

// One thing that `deny:` says.
struct MergedDeny {
  std::optional<HostPattern> host{};  // nothing: the range
  base::Cidr range{};
  std::optional<Transport> transport{};
  base::PortRanges ports{};
  std::shared_ptr<const RuleTerms> terms{};  // null: everything
  Origin origin{};
};

class Layers {
 public:
  // Services first, then domains, as agent-sandbox does; then endpoints and the single settings. Later calls are later
  // layers.
  [[nodiscard]] base::Status add(PolicyDocument document, std::uint32_t file);

  // After the last layer: an optional group adds to what others allow. Without this its host would be an entry of its
  // own that beats a wildcard above it, and take away what that wildcard gives.
  void widen_optional_hosts();

  [[nodiscard]] const std::deque<MergedHost>& hosts() const { return hosts_; }  // those without grants are not there
  [[nodiscard]] const std::vector<ServiceUse>& services() const { return services_; }
  [[nodiscard]] std::vector<EndpointRecord>& endpoints() { return endpoints_; }
  // For any listed name, each once.
  [[nodiscard]] std::vector<ListedRange>& addresses() { return addresses_; }
  [[nodiscard]] StaticHosts& static_hosts() { return static_hosts_; }
  // Of every layer, in order. What one denies, another takes back only by `merge_mode: replace` of that host or range.
  [[nodiscard]] const std::vector<MergedDeny>& denies() const { return denies_; }
  // After the last layer: nothing takes these back.
  void deny_too(const std::vector<MergedDeny>& more) { denies_.insert(denies_.end(), more.begin(), more.end()); }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] EchMode ech() const { return ech_; }
  [[nodiscard]] DeniedNames denied_names() const { return denied_names_; }

 private:
  MergedHost& host(const HostPattern& pattern, Origin origin);
  static void grant(MergedHost& host, Grant grant);
  [[nodiscard]] base::Status add_service(const ServiceEntry& entry, std::uint32_t file);
  void add_service_rules(const DomainEntry& domain, Origin origin, std::string_view service);
  void add_service_host(const DomainEntry& domain, const ServiceEntry& entry, const Grant& unruled);
  void add_optional(const ServiceEntry& entry, const ServiceUse& use, Origin origin);
  [[nodiscard]] ServiceUse& use_of(std::string_view service);
  static void add_service_addresses(MergedHost& host, const ServiceAddresses& more);
  void add_addresses(const std::vector<AddressEntry>& entries, std::uint32_t file);
  void widen(MergedHost& host);
  void discard_service(std::string_view name);
  void add_domain(DomainEntry entry, std::uint32_t file);
  void add_endpoint(EndpointEntry entry, std::uint32_t file);
  void add_deny(DenyEntry entry, std::uint32_t file);

  struct Key {
    std::string_view name;  // of the host that it leads to
    bool wildcard = false;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<std::string_view>()(key.name) ^ std::size_t{key.wildcard};
    }
  };

  std::deque<MergedHost> hosts_;  // which never move, and whose patterns never change
  std::unordered_map<Key, MergedHost*, KeyHash> by_pattern_;
  std::vector<EndpointRecord> endpoints_;
  std::vector<MergedDeny> denies_;
  std::vector<ListedRange> addresses_;
  StaticHosts static_hosts_;
  std::vector<ServiceUse> services_;
  Mode mode_ = Mode::kEnforce;
  EchMode ech_ = EchMode::kPass;
  DeniedNames denied_names_ = DeniedNames::kAddress;
};

}  // namespace soleroute::policy
