// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/deny_reader.h"

#include <array>
#include <optional>
#include <utility>

#include "policy/host_pattern.h"
#include "policy/port_reader.h"

namespace soleroute::policy {

using base::Status;

Status DenyReader::host(const YamlNode& node, DenyEntry& entry) const {
  std::optional<HostPattern> pattern;
  SR_TRY(values_.host(node, pattern, Wildcards::kAny));
  entry.host = std::move(*pattern);
  return {};
}

// A host, or an address or a range.
Status DenyReader::whole(const YamlNode& node, DenyEntry& entry) const {
  const auto range = base::Cidr::parse(node.text);
  if (!range) return host(node, entry);
  entry.cidr = *range;
  return {};
}

// With `merge_mode: replace`, an empty list is the way to take an earlier entry back.
Status DenyReader::rules(const YamlNode& node, DenyEntry& entry) const {
  entry.nothing = node.is_sequence() && node.children.empty();
  if (entry.nothing) return {};
  const auto before = entry.rules.size();
  SR_TRY(rules_.rules(node, false, entry.rules));
  for (std::size_t i = before; i < entry.rules.size(); ++i) {
    const auto& rule = entry.rules[i];
    if (rule.terms.sets_headers()) return yaml_.error(rule.position, "a rule that denies sets no headers");
    if (rule.terms.query && rule.terms.query->empty()) {
      return yaml_.error(rule.position, "the query of a rule that denies needs a parameter");
    }
  }
  return {};
}

Status DenyReader::ports(const YamlNode& node, DenyEntry& entry) const {
  entry.nothing = node.is_sequence() && node.children.empty();
  return entry.nothing ? Status{} : read_ports(yaml_, node, entry.ports);
}

Status DenyReader::protocol(const YamlNode& node, DenyEntry& entry) const {
  SR_LET(chosen, yaml_.choice(node, "protocol", {"tcp", "udp"}));
  entry.transport = *chosen == "tcp" ? Transport::kTcp : Transport::kUdp;
  return {};
}

Status DenyReader::is_consistent(const YamlNode& node, const DenyEntry& entry) const {
  const bool by_address = ValueReader::key(node, "cidr") != nullptr;
  if (entry.host.has_value() == by_address) return yaml_.error(node, "an item of deny needs either 'host' or 'cidr'");
  if (ValueReader::key(node, "port") != nullptr && ValueReader::key(node, "ports") != nullptr) {
    return yaml_.error(node, "an item of deny has either 'port' or 'ports', not both");
  }
  const YamlNode* rules = ValueReader::key(node, "rules");
  if (rules != nullptr && by_address) {
    return yaml_.error(*rules, "use 'rules' with 'host', not with 'cidr': they are about requests");
  }
  if (rules != nullptr && entry.transport) {
    return yaml_.error(*rules, "use either 'rules' or 'protocol': rules are about requests of HTTP");
  }
  if (!entry.nothing || entry.replace) return {};
  return yaml_.error(node,
                     "an empty list denies nothing: remove it to deny everything, or take an earlier entry back with "
                     "'merge_mode: replace'");
}

Status DenyReader::item(const YamlNode& node, std::vector<DenyEntry>& out) const {
  DenyEntry entry{.host = std::nullopt, .position = node.position};
  if (node.is_scalar()) {
    SR_TRY(whole(node, entry));
    out.push_back(std::move(entry));
    return {};
  }
  if (!node.is_mapping()) {
    return yaml_.wrong_type(node, "an item of deny", "a host, a range, or a mapping with 'host' or 'cidr'");
  }
  const std::array<YamlReader::Key, 7> known{{
      {"host", [&](const YamlNode& value) { return host(value, entry); }},
      {"cidr", [&](const YamlNode& value) { return values_.cidr(value, "cidr", entry.cidr); }},
      {"rules", [&](const YamlNode& value) { return rules(value, entry); }},
      {"port", [&](const YamlNode& value) { return read_port(yaml_, value, entry.ports); }},
      {"ports", [&](const YamlNode& value) { return ports(value, entry); }},
      {"protocol", [&](const YamlNode& value) { return protocol(value, entry); }},
      {"merge_mode", [&](const YamlNode& value) { return values_.merge_mode(value, entry.replace); }},
  }};
  SR_TRY(yaml_.keys(node, "an item of deny", known));
  SR_TRY(is_consistent(node, entry));
  out.push_back(std::move(entry));
  return {};
}

Status DenyReader::deny(const YamlNode& node, std::vector<DenyEntry>& out) const {
  if (node.is_sequence()) out.reserve(node.children.size());
  return yaml_.each(node, "deny", true, [&](const YamlNode& each) { return item(each, out); });
}

}  // namespace soleroute::policy
