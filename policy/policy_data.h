// What a compiled policy holds: flat arrays that decide() walks.
// Immutable once a Policy owns it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "policy/agent_table.h"
#include "policy/deny_table.h"
#include "policy/host_pattern.h"
#include "policy/host_table.h"
#include "policy/policy.h"
#include "policy/rule.h"

namespace soleroute::policy {

// What becomes of https to a host before any request is seen.
enum class HttpsVerdict : std::uint8_t { kNever, kPassThrough, kInspect };

struct IndexRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// One cache line: a decision about a host touches a slot of the table, its name, and this.
// `https`, `https_open`, `http_somehow`: on ports 443 and 80. host_ports.h says it of others.
struct alignas(64) HostRecord {
  std::string_view pattern;  // "*.example.com", in the table's text
  Origin origin;             // the entry that lets everything pass, or else the first entry for this host
  Origin https_origin{};     // the rule that lets https pass uninspected, if one does
  bool open = false;         // everything may pass, http and https
  bool https_open = false;   // a rule admits every https request
  bool http_somehow = false;
  bool inspect_wanted = false;  // tls: inspect
  bool from_service = false;    // by no entry of `domains:`
  bool narrowed = false;        // open, although another entry gives it rules
  bool sets_headers = false;    // some rule does: https is inspected, whatever else admits it
  bool names_ports = false;     // some rule does
  HttpsVerdict https = HttpsVerdict::kNever;
  bool txt = false;    // TXT records too
  IndexRange rules{};  // in the order in which they are asked: those that set headers first
  IndexRange addresses{};
  std::uint32_t alpn = HostTable::kNone;  // what else TLS may be for
};

// A non-public range of the whole policy: any listed name may resolve to it.
struct ListedRange {
  base::Cidr range;
  Origin origin;
};

// `hosts:` by name; of layers, the last one that has the name.
struct StaticAddresses {
  std::vector<base::IpAddress> addresses;
  Origin origin;
};
using StaticHosts = std::map<std::string, StaticAddresses, std::less<>>;

struct EndpointRecord {
  Transport transport = Transport::kTcp;
  std::string name;  // the host as written ("*.example.com"), or the range as text
  bool by_address = false;
  base::Cidr cidr;
  base::PortRanges ports;             // sorted, apart
  std::vector<base::Cidr> addresses;  // non-public addresses it may lead to, as it lists them
  Origin origin;
  bool txt = false;
  std::vector<base::Cidr> permitted{};  // those, and with a name those of the whole policy
};

// All endpoints of one host, or of the names below one: those of every wildcard above are among them.
struct EndpointGroup {
  std::string name;
  bool wildcard = false;
  std::vector<std::uint32_t> endpoints;
  std::vector<base::Cidr> addresses;  // of all of them, and of the host's record: what DNS may answer
};

static_assert(sizeof(HostRecord) == 64);

// Optional hosts of a service that the policy names, without naming this group of them.
struct UnusedGroup {
  std::string service;
  std::string group;
  std::vector<std::string> hosts;        // as the catalog writes them
  std::shared_ptr<const Policy> admits;  // what naming it would allow
  bool whole = false;  // naming it would allow nothing else: all of the service is allowed without limits
};

// An agent of `agents:`.
struct AgentRecord {
  std::string name;
  std::vector<base::Cidr> addresses;
  Origin origin;
  std::shared_ptr<const Policy> policy;
};

struct Policy::Agents {
  std::vector<AgentRecord> records;    // in the order of first mention
  AgentTable table;                    // their addresses, by the places of `records`
  std::shared_ptr<const Policy> none;  // denies everything; never null
  bool only = false;                   // `agents_only`
  bool strangers_v4 = true;            // may an IPv4 client that is no agent use the common policy?
  bool strangers_v6 = true;
};

struct Policy::Data {
  std::vector<std::string> files;
  std::string agent_name;    // that this policy is for; empty: the common one
  bool nobodys = false;      // of clients that may use no policy
  bool strangers_v4 = true;  // may an IPv4 client that is no agent use the common policy?
  bool strangers_v6 = true;
  std::vector<HostRecord> records;  // in the order of first mention
  std::vector<Rule> rules;
  std::vector<ListedRange> listed;  // `addresses:` of the whole policy
  StaticHosts hosts;
  std::vector<base::Cidr> addresses;  // first those of the whole policy
  std::vector<EndpointRecord> endpoints;
  std::vector<EndpointGroup> groups;
  std::vector<UnusedGroup> unused_groups;
  std::vector<std::vector<std::string>> alpn;  // of hosts, by HostRecord::alpn
  HostTable table;
  DenyTable denies;
  Mode mode = Mode::kEnforce;
  EchMode ech = EchMode::kPass;
  DeniedNames denied_names = DeniedNames::kAddress;

  // What is said of a name. "*" means no name of this network (single labels, .internal).
  [[nodiscard]] HostTable::Found find(const base::HostName& name) const { return find(name, NameHashes(name.text())); }
  [[nodiscard]] HostTable::Found find(const base::HostName& name, const NameHashes& hashes) const;
  [[nodiscard]] const HostRecord* record(const HostTable::Found& found) const {
    return found.record == HostTable::kNone ? nullptr : &records[found.record];
  }
  [[nodiscard]] std::span<const Rule> rules_of(const HostRecord& record) const {
    return std::span(rules).subspan(record.rules.begin, record.rules.end - record.rules.begin);
  }
  [[nodiscard]] std::span<const base::Cidr> addresses_of(const HostRecord& record) const {
    return std::span(addresses).subspan(record.addresses.begin, record.addresses.end - record.addresses.begin);
  }
  // Without those of the whole policy, which come last.
  [[nodiscard]] std::span<const base::Cidr> own_addresses_of(const HostRecord& record) const {
    if (record.pattern == kEveryHost) return {};
    const auto all = addresses_of(record);
    return all.first(all.size() - listed.size());
  }
  [[nodiscard]] std::span<const base::IpAddress> static_addresses(std::string_view name) const {
    const auto found = hosts.find(name);
    return found == hosts.end() ? std::span<const base::IpAddress>{} : std::span(found->second.addresses);
  }
  [[nodiscard]] std::span<const std::string> alpn_of(const HostRecord& record) const {
    return record.alpn == HostTable::kNone ? std::span<const std::string>{} : std::span(alpn[record.alpn]);
  }
  [[nodiscard]] SourceLine line(const Origin& origin) const { return {files[origin.file], origin.line}; }
};

}  // namespace soleroute::policy
