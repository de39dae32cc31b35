// What one policy text says, read and checked but not yet merged with other layers.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "policy/github_scope.h"
#include "policy/host_pattern.h"
#include "policy/policy.h"
#include "policy/rule.h"
#include "policy/source_text.h"
#include "policy/yaml_document.h"

namespace soleroute::policy {

enum class TlsMode : std::uint8_t { kUnstated, kPassThrough, kInspect };

struct LocatedRule {
  RuleTerms terms;
  Position position;
  Position schemes_position{};  // line 0: schemes were not stated
};

struct DomainEntry {
  HostPattern host;
  Position position;
  std::vector<LocatedRule> rules{};  // empty: everything
  std::vector<base::Cidr> addresses{};
  TlsMode tls = TlsMode::kUnstated;
  Position tls_position{};
  std::vector<std::string> alpn{};  // what TLS may be for besides HTTP
  Position alpn_position{};
  bool replace = false;
  bool txt = false;  // TXT records too
};

struct ServiceEntry {
  std::string name;  // known to the catalog
  Position position;
  bool readonly = false;
  bool replace = false;
  std::optional<GithubScope> scope{};   // only of github: nothing but these repositories
  std::vector<base::Cidr> addresses{};  // non-public addresses that its hosts may have
  std::vector<std::string> optional{};  // groups of the service's optional hosts, each known to the catalog
};

struct EndpointEntry {
  Transport transport = Transport::kTcp;
  std::optional<HostPattern> host;
  base::Cidr cidr;         // if there is no host
  base::PortRanges ports;  // sorted, apart, never empty
  std::vector<base::Cidr> addresses;
  Position position;
  bool txt = false;  // TXT records of the host too
};

// What `deny:` takes away, whatever else allows it.
struct DenyEntry {
  std::optional<HostPattern> host;
  base::Cidr cidr{};                     // if there is no host
  std::optional<Transport> transport{};  // nothing: every one
  base::PortRanges ports{};              // sorted, apart; empty: every port
  std::vector<LocatedRule> rules{};      // of a host; empty: everything
  Position position{};
  bool replace = false;
  bool nothing = false;  // with `replace`: what earlier entries denied is not denied any more
};

// A non-public range that any listed name may resolve to.
struct AddressEntry {
  base::Cidr range;
  Position position;
};

// `hosts:`: addresses of a name that are not asked for.
struct StaticHost {
  base::HostName name;
  std::vector<base::IpAddress> addresses;  // never empty
  Position position;
};

inline constexpr std::size_t kMaxStaticAddresses = 16;  // of one name in `hosts:`
inline constexpr std::size_t kMaxListedRanges = 64;     // of the whole policy, in one file

inline constexpr std::size_t kMaxAgents = 256;         // of all layers
inline constexpr std::size_t kMaxAgentAddresses = 64;  // of one agent, in one file
inline constexpr std::size_t kMaxAgentName = 64;       // bytes
// Hosts of all agents' policies together, with what they inherit.
inline constexpr std::size_t kMaxAgentHosts = 1'000'000;

struct AgentEntry;

struct PolicyDocument {
  std::vector<ServiceEntry> services;
  std::vector<DomainEntry> domains;
  std::vector<EndpointEntry> endpoints;
  std::vector<DenyEntry> deny;
  std::vector<AddressEntry> addresses;
  std::vector<StaticHost> hosts;
  std::optional<Mode> mode;
  std::optional<EchMode> ech;
  std::optional<DeniedNames> denied_names;
  std::vector<AgentEntry> agents;
  std::optional<bool> agents_only;
};

// An agent with a policy of its own.
struct AgentEntry {
  std::string name;
  Position position;
  std::vector<AddressEntry> addresses{};
  std::optional<bool> inherit{};
  std::shared_ptr<const PolicyDocument> policy{};
};

// `source` is cleaned text (clean_text()).
[[nodiscard]] base::Result<PolicyDocument> read_policy(const SourceText& source);

// Hosts that a service asks for and works without.
struct OptionalGroup {
  std::string name;  // "telemetry"
  std::string description;
  std::vector<DomainEntry> domains;
};

// A file of the service catalog.
struct ServiceDocument {
  std::string name;
  std::string description;
  std::string source;  // where its hosts are from
  std::string date;    // of the last look at the source: "2026-12-01"
  std::vector<DomainEntry> domains;
  std::vector<DomainEntry> readonly;    // rules that the read-only form admits besides GET, HEAD and OPTIONS
  std::vector<OptionalGroup> optional;  // as written
};
[[nodiscard]] base::Result<ServiceDocument> read_service(const SourceText& source);

}  // namespace soleroute::policy
