// The policy lines that would let a refused flow pass: as little as possible, ready to paste, pure ASCII.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/web_ports.h"
#include "policy/address_class.h"
#include "policy/explanation.h"
#include "policy/optional_hosts.h"
#include "policy/policy_data.h"
#include "policy/yaml_document.h"

namespace soleroute::policy {
namespace {

const base::HostName* name_of(const FlowFacts& facts) {
  if (facts.phase == Phase::kTls) return facts.sni ? &*facts.sni : nullptr;
  return facts.host ? &*facts.host : nullptr;
}

// Host patterns hold nothing that YAML needs quoted but the star; some names look like numbers or booleans ("1.e5").
std::string quoted_host(std::string_view pattern) {
  YamlNode node;
  node.kind = YamlNode::Kind::kScalar;
  node.text = pattern;
  return is_text(node) && !pattern.starts_with('*') ? node.text : fmt::format("\"{}\"", pattern);
}

std::string ranges_text(std::span<const base::Cidr> ranges) {
  std::vector<std::string> texts;
  for (const auto& range : ranges) texts.push_back(fmt::format("\"{}\"", range.to_string()));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

base::Cidr just(const base::IpAddress& address) {
  return base::Cidr::make(address, address.bits()).value_or(base::Cidr{});
}

const HostRecord* record_for(const Policy& policy, const base::HostName& name) {
  return policy.data().record(policy.data().table.find(name.text()));
}

std::string whole_host(const base::HostName& name) {
  return fmt::format("domains:\n  - {}\n", quoted_host(name.text()));
}

// https without looking inside, which cannot be where headers are set. A new entry for one name of a wildcard keeps
// that wildcard's addresses.
std::string uninspected(const base::HostName& name, const HostRecord* record, const Decision& decision) {
  if (record != nullptr && record->sets_headers) return {};
  std::string out =
      fmt::format("domains:\n  - host: {}  # everything on this host, not inspected\n    tls: passthrough\n",
                  quoted_host(name.text()));
  if (!decision.permitted_addresses.empty()) {
    out += fmt::format("    addresses: {}\n", ranges_text(decision.permitted_addresses));
  }
  return out;
}

std::string https_rule(const HostRecord& record) {
  return fmt::format("domains:\n  - host: {}\n{}    rules:\n      - schemes: [https]\n", quoted_host(record.pattern),
                     record.inspect_wanted ? "    tls: passthrough\n" : "");
}

bool is_usual_method(std::string_view method) {
  return std::ranges::all_of(method, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; }) && !method.empty();
}

// A rule for exactly this request, with any query.
std::string request_rule(const HostRecord& record, const FlowFacts& facts) {
  std::string out = fmt::format("domains:\n  - host: {}\n    rules:\n      - schemes: [{}]\n",
                                quoted_host(record.pattern), to_string(facts.scheme));
  if (facts.method) {
    if (!is_usual_method(*facts.method)) return {};  // methods keep their case in requests, and rules know upper case
    out += fmt::format("        methods: [\"{}\"]\n", *facts.method);
  }
  if (facts.target) {
    const auto path = parse_target(*facts.target).path;
    if (!path) return {};  // no rule could say which path is meant
    out += fmt::format("        path: {{exact: \"{}\"}}\n", *path);
  }
  return out;
}

std::string endpoint(std::string_view who, std::uint16_t port, Transport transport, std::string_view addresses) {
  if (port == 0 || transport != Transport::kTcp) return {};
  return fmt::format("endpoints:\n  - {{{}, port: {}, protocol: tcp{}}}\n", who, port, addresses);
}

bool is_web(std::uint16_t port) {
  return base::is_web_port(port);
}

std::string named_endpoint(const base::HostName& name, std::uint16_t port, Transport transport,
                           std::string_view addresses = {}) {
  if (is_web(port)) return {};  // `domains:` decides those
  return endpoint("host: " + quoted_host(name.text()), port, transport, addresses);
}

std::string packet_endpoint(const FlowFacts& facts) {
  if (!facts.original_destination) return {};
  const auto address = facts.original_destination->address.unmapped();
  const auto port = facts.original_destination->port;
  if (is_never_suggested(address)) return {};
  if (!facts.resolved_names.empty() && !is_web(port)) {
    const base::Cidr only = just(address);
    const std::string addresses =
        is_public(address) ? std::string{} : ", addresses: " + ranges_text(std::span(&only, 1));
    return named_endpoint(facts.resolved_names.front(), port, facts.transport, addresses);
  }
  return endpoint(fmt::format("cidr: \"{}\"", just(address).to_string()), port, facts.transport, {});
}

std::string destination_endpoint(const FlowFacts& facts) {
  if (const auto* name = name_of(facts); name != nullptr && facts.phase != Phase::kPacket) {
    return named_endpoint(*name, facts.port, facts.transport);
  }
  return packet_endpoint(facts);
}

bool is_web_flow(const FlowFacts& facts) {
  if (facts.phase == Phase::kDns) return true;
  return facts.port ==
         (facts.scheme == Scheme::kHttp && facts.phase == Phase::kHttp ? base::kHttpPort : base::kHttpsPort);
}

// An entry with addresses and no rules would admit everything, so one of the host's own rules is said again.
std::string private_addresses(const Policy& policy, const HostRecord& record, const FlowFacts& facts) {
  if (!facts.original_destination || is_public(facts.original_destination->address)) return {};
  if (is_never_suggested(facts.original_destination->address)) return {};
  const base::Cidr only = just(facts.original_destination->address.unmapped());
  std::string out = fmt::format("domains:\n  - host: {}\n    addresses: {}\n", quoted_host(record.pattern),
                                ranges_text(std::span(&only, 1)));
  if (record.open) return out;
  for (const auto& rule : policy.data().rules_of(record)) {
    const std::string written = to_yaml(rule.terms);
    if (!written.empty()) return out + fmt::format("    rules:\n      - {}\n", written);
  }
  return {};
}

}  // namespace

std::string how_to_allow(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  if (decision.allowed()) return {};
  const base::HostName* name = name_of(facts);
  if (decision.reason == Reason::kEndpointNotAllowed) return destination_endpoint(facts);
  if (facts.phase == Phase::kPacket) return decision.reason == Reason::kPrivateAddress ? packet_endpoint(facts) : "";
  if (name == nullptr) return {};
  if (const auto use = optional_use(policy, facts, decision); use && use->can_be_named) {
    return fmt::format("services:\n  - {{name: {}, optional: [{}]}}\n", use->service, use->group);
  }
  const HostRecord* record = record_for(policy, *name);
  switch (decision.reason) {
    case Reason::kHostNotAllowed:
      return is_web_flow(facts) ? whole_host(*name) : named_endpoint(*name, facts.port, facts.transport);
    case Reason::kPrivateAddress:
      return record == nullptr ? "" : private_addresses(policy, *record, facts);
    case Reason::kInspectionNeeded:
      return uninspected(*name, record, decision);
    case Reason::kHttpsNotPermitted:
      return record == nullptr ? "" : https_rule(*record);
    case Reason::kSchemeNotPermitted:
      return record == nullptr ? "" : request_rule(*record, facts);
    case Reason::kNoRuleMatched:
      return record == nullptr ? "" : request_rule(*record, facts);
    default:
      return {};  // nothing a policy says would help
  }
}

}  // namespace soleroute::policy
