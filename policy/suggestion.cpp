// The policy lines that would let a refused flow pass: as little as possible, ready to paste, pure ASCII.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/web_ports.h"
#include "policy/address_class.h"
#include "policy/explanation.h"
#include "policy/host_pattern.h"
#include "policy/host_ports.h"
#include "policy/optional_hosts.h"
#include "policy/policy_data.h"
#include "policy/yaml_document.h"

namespace soleroute::policy {
namespace {

const base::HostName* name_of(const FlowFacts& facts) {
  if (facts.phase == Phase::kTls) return facts.sni ? &*facts.sni : nullptr;
  return facts.host ? &*facts.host : nullptr;
}

// Host patterns and methods hold nothing that YAML needs quoted but a star or a dash in front; some look like numbers
// or booleans ("1.e5", "NO").
std::string scalar_text(std::string_view pattern) {
  YamlNode node;
  node.kind = YamlNode::Kind::kScalar;
  node.text = pattern;
  const bool plain = is_text(node) && !pattern.starts_with('*') && !pattern.starts_with('-');
  return plain ? node.text : fmt::format("\"{}\"", pattern);
}

// Colons may end a key in YAML's flow style.
std::string range_text(const base::Cidr& range) {
  return range.address().is_v6() ? fmt::format("\"{}\"", range.to_string()) : range.to_string();
}

std::string ranges_text(std::span<const base::Cidr> ranges) {
  std::vector<std::string> texts;
  for (const auto& range : ranges) texts.push_back(range_text(range));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

base::Cidr just(const base::IpAddress& address) {
  return base::Cidr::make(address, address.bits()).value_or(base::Cidr{});
}

// ", addresses: [10.0.0.7/32]"
std::string listed(const base::IpAddress& address) {
  return fmt::format(", addresses: [{}]", range_text(just(address.unmapped())));
}

// Of a resolver that gives every name such an address: one line for all of them. Empty if this is none.
std::string placeholders_for_all(const base::IpAddress& address) {
  const auto range = placeholder_range(address.unmapped());
  return range ? fmt::format("addresses:\n  - {}\n", range_text(*range)) : std::string{};
}

const HostRecord* record_for(const Policy& policy, const base::HostName& name) {
  return policy.data().record(policy.data().find(name));
}

std::string whole_host(const base::HostName& name) {
  return fmt::format("domains:\n  - {}\n", scalar_text(name.text()));
}

// Every item is one line in flow style, so that a client that shows one line shows all of it.
std::string domain(std::string_view pattern, std::string_view terms, std::string_view remark = {}) {
  return fmt::format("domains:\n  - {{host: {}, {}}}{}\n", scalar_text(pattern), terms, remark);
}

// https without looking inside, which cannot be where headers are set. A new entry for one name of a wildcard keeps
// that wildcard's addresses.
std::string uninspected(const Policy& policy, const base::HostName& name, const HostRecord* record) {
  const auto own = record == nullptr ? std::span<const base::Cidr>{} : policy.data().own_addresses_of(*record);
  if (record != nullptr && (record->sets_headers || record->pattern == kEveryHost)) return {};
  std::string terms = "tls: passthrough";
  if (!own.empty()) terms += fmt::format(", addresses: {}", ranges_text(own));
  return domain(name.text(), terms, "  # everything on this host, not inspected");
}

// "ports: [8443], " for other ports than the web's, which entries must list.
std::string listed_port(std::uint16_t port) {
  return base::is_web_port(port) || port == 0 ? std::string{} : fmt::format("ports: [{}], ", port);
}

std::string https_rule(const HostRecord& record, std::uint16_t port) {
  return domain(record.pattern, fmt::format("{}{}rules: [{{schemes: [https]}}]",
                                            record.inspect_wanted && !record.names_ports ? "tls: passthrough, " : "",
                                            listed_port(port)));
}

bool is_usual_method(std::string_view method) {
  return std::ranges::all_of(method, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; }) && !method.empty();
}

// A rule for exactly this request, with any query.
std::string request_rule(const HostRecord& record, const FlowFacts& facts) {
  std::string rule = fmt::format("schemes: [{}]", to_string(facts.scheme));
  if (facts.method) {
    if (!is_usual_method(*facts.method)) return {};  // methods keep their case in requests, and rules know upper case
    rule += fmt::format(", methods: [{}]", scalar_text(*facts.method));
  }
  if (facts.target) {
    const auto path = parse_target(*facts.target).path;
    if (!path) return {};  // no rule could say which path is meant
    rule += fmt::format(", path: {{exact: \"{}\"}}", *path);
  }
  return domain(record.pattern, fmt::format("{}rules: [{{{}}}]", listed_port(facts.port), rule));
}

// HTTP or TLS to another port of a host that `domains:` lists: under rules, as on the ports it has.
std::string port_of_domain(const Policy& policy, const base::HostName& name, const FlowFacts& facts) {
  const bool web = facts.phase == Phase::kHttp || facts.phase == Phase::kTls;
  const HostRecord* record = web && facts.transport == Transport::kTcp ? record_for(policy, name) : nullptr;
  if (record == nullptr || record->pattern == kEveryHost || base::is_web_port(facts.port) || facts.port == 0) return {};
  if (record->open) return domain(record->pattern, fmt::format("ports: [{}]", facts.port));
  if (facts.scheme == Scheme::kHttp && facts.method) return request_rule(*record, facts);
  return domain(record->pattern, fmt::format("ports: [{}], rules: [{{schemes: [{}]}}]", facts.port,
                                             facts.scheme == Scheme::kHttp ? "http" : "https"));
}

std::string endpoint(std::string_view who, std::uint16_t port, Transport transport, std::string_view addresses) {
  if (port == 0 || transport != Transport::kTcp) return {};
  return fmt::format("endpoints:\n  - {{{}, port: {}{}}}\n", who, port, addresses);
}

std::string named_endpoint(const base::HostName& name, std::uint16_t port, Transport transport,
                           std::string_view addresses = {}) {
  if (base::is_web_port(port)) return {};  // `domains:` decides those
  return endpoint("host: " + scalar_text(name.text()), port, transport, addresses);
}

std::string packet_endpoint(const FlowFacts& facts, Reason reason) {
  if (!facts.original_destination) return {};
  const auto address = facts.original_destination->address.unmapped();
  const auto port = facts.original_destination->port;
  if (is_never_suggested(address)) return {};
  if (!facts.resolved_names.empty() && reason == Reason::kPrivateAddress) {
    if (auto lines = placeholders_for_all(address); !lines.empty()) return lines;
  }
  if (!facts.resolved_names.empty() && !base::is_web_port(port)) {
    const bool shown = !is_public(address) && !placeholder_range(address);
    const std::string addresses = shown ? listed(address) : std::string{};
    return named_endpoint(facts.resolved_names.front(), port, facts.transport, addresses);
  }
  return endpoint("cidr: " + range_text(just(address)), port, facts.transport, {});
}

std::string destination_endpoint(const Policy& policy, const FlowFacts& facts) {
  if (const auto* name = name_of(facts); name != nullptr && facts.phase != Phase::kPacket) {
    if (auto ports = port_of_domain(policy, *name, facts); !ports.empty()) return ports;
    return named_endpoint(*name, facts.port, facts.transport);
  }
  return packet_endpoint(facts, Reason::kEndpointNotAllowed);
}

bool is_web_flow(const FlowFacts& facts) {
  if (facts.phase == Phase::kDns) return true;
  return facts.port ==
         (facts.scheme == Scheme::kHttp && facts.phase == Phase::kHttp ? base::kHttpPort : base::kHttpsPort);
}

// A name of its own, with all that "*" says of it.
std::string host_below_every(const HostRecord& every, const base::HostName& name, std::string_view addresses) {
  const bool plain = every.open && !every.txt && !every.names_ports && !every.inspect_wanted;
  return plain ? domain(name.text(), addresses) : std::string{};
}

// An entry with addresses and no rules would admit everything, so one of the host's own rules is said again.
std::string host_at(const Policy& policy, const HostRecord& record, const base::HostName& name,
                    const base::IpAddress& address) {
  const std::string addresses = listed(address).substr(std::string_view(", ").size());
  if (record.pattern == kEveryHost) return host_below_every(record, name, addresses);
  if (record.open) return domain(record.pattern, addresses);
  for (const auto& rule : policy.data().rules_of(record)) {
    const std::string written = to_yaml(rule.terms);
    const auto& ports = rule.terms.ports;
    const std::string on = ports.empty() ? std::string{} : fmt::format(", ports: [{}]", base::to_string(ports));
    if (!written.empty()) return domain(record.pattern, fmt::format("{}{}, rules: [{}]", addresses, on, written));
  }
  return {};
}

// Of a name that only endpoints are about, where it is not known which of them is meant: all of their ports.
std::string endpoints_at(const Policy& policy, const base::HostName& name, const base::IpAddress& address) {
  const auto found = policy.data().find(name);
  if (found.endpoints == HostTable::kNone) return {};
  base::PortRanges ports;
  for (const auto index : policy.data().groups[found.endpoints].endpoints) {
    const auto& endpoint = policy.data().endpoints[index];
    if (endpoint.transport == Transport::kTcp) ports.insert(ports.end(), endpoint.ports.begin(), endpoint.ports.end());
  }
  ports = base::normalised(std::move(ports));
  if (ports.empty()) return {};
  const bool one = ports.size() == 1 && ports.front().is_single();
  const std::string which =
      one ? "port: " + base::to_string(ports) : fmt::format("ports: [{}]", base::to_string(ports));
  return fmt::format("endpoints:\n  - {{host: {}, {}{}}}\n", scalar_text(name.text()), which, listed(address));
}

std::string unknown_host(const base::HostName& name, const FlowFacts& facts, const Decision& decision) {
  const auto& address = decision.refused_address;
  // A placeholder gets its line for the whole policy once the name is listed.
  const bool told = address && !is_never_suggested(*address) && !placeholder_range(address->unmapped());
  const auto addresses = told ? listed(*address) : std::string{};
  if (!is_web_flow(facts)) return named_endpoint(name, facts.port, facts.transport, addresses);
  return addresses.empty() ? whole_host(name) : domain(name.text(), addresses.substr(std::string_view(", ").size()));
}

// The name is allowed, and so are public addresses of it.
std::string private_address(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  const auto& address = decision.refused_address;
  const auto* name = name_of(facts);
  if (!address || is_never_suggested(*address) || name == nullptr) return {};
  if (auto lines = placeholders_for_all(*address); !lines.empty()) return lines;
  const HostRecord* record = record_for(policy, *name);
  const bool on_listed_port = record != nullptr && decides_port(policy.data(), *record, facts.scheme, facts.port);
  if (facts.phase != Phase::kDns && !is_web_flow(facts) && !on_listed_port) {
    return named_endpoint(*name, facts.port, facts.transport, listed(*address));
  }
  return record != nullptr ? host_at(policy, *record, *name, *address) : endpoints_at(policy, *name, *address);
}

std::string lines_for(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  const base::HostName* name = name_of(facts);
  if (decision.reason == Reason::kEndpointNotAllowed) return destination_endpoint(policy, facts);
  if (facts.phase == Phase::kPacket)
    return decision.reason == Reason::kPrivateAddress ? packet_endpoint(facts, decision.reason) : "";
  if (name == nullptr) return {};
  if (const auto use = optional_use(policy, facts, decision); use && use->can_be_named) {
    return fmt::format("services:\n  - {{name: {}, optional: [{}]}}\n", use->service, use->group);
  }
  const HostRecord* record = record_for(policy, *name);
  const bool every = record != nullptr && record->pattern == kEveryHost;  // a line for it would need a second one
  if (every && decision.reason != Reason::kPrivateAddress) return {};
  if (decision.deny_pending && decision.reason == Reason::kInspectionNeeded) return {};
  switch (decision.reason) {
    case Reason::kHostNotAllowed:
      return unknown_host(*name, facts, decision);
    case Reason::kPrivateAddress:
      return private_address(policy, facts, decision);
    case Reason::kInspectionNeeded:
      return uninspected(policy, *name, record);
    case Reason::kHttpsNotPermitted:
      return record == nullptr ? "" : https_rule(*record, facts.port);
    case Reason::kSchemeNotPermitted:
      return record == nullptr ? "" : request_rule(*record, facts);
    case Reason::kNoRuleMatched:
      return record == nullptr ? "" : request_rule(*record, facts);
    default:
      return {};  // nothing a policy says would help
  }
}

}  // namespace

std::string how_to_allow(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  if (decision.allowed() || policy.data().nobodys) return {};
  auto lines = lines_for(policy, facts, decision);
  // An endpoint is not read, so an entry that denies some requests would deny all of it.
  return decision.denies_some && lines.starts_with("endpoints:") ? std::string{} : lines;
}

}  // namespace soleroute::policy
