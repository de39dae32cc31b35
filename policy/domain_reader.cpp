// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/domain_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "policy/host_pattern.h"
#include "policy/port_reader.h"

namespace soleroute::policy {

using base::Status;

Status DomainReader::tls(const YamlNode& node, DomainEntry& entry) const {
  SR_LET(chosen, yaml_.choice(node, "tls", {"inspect", "passthrough"}));
  entry.tls = *chosen == "inspect" ? TlsMode::kInspect : TlsMode::kPassThrough;
  entry.tls_position = node.position;
  return {};
}

// Identifiers of ALPN (RFC 7301 section 3.2), as far as they are text.
Status DomainReader::alpn(const YamlNode& node, DomainEntry& entry) const {
  constexpr std::size_t kLongest = 255;
  constexpr std::size_t kMost = 16;
  entry.alpn_position = node.position;
  SR_TRY(yaml_.each(node, "alpn", false, [&](const YamlNode& item) -> Status {
    SR_LET(text, yaml_.text(item, "an ALPN protocol"));
    const bool sound = !text->empty() && text->size() <= kLongest &&
                       std::ranges::all_of(*text, [](char c) { return c > ' ' && c <= '~'; });
    if (!sound) return yaml_.error(item, fmt::format("'{}' is not an ALPN protocol", base::shown(text->substr(0, 80))));
    entry.alpn.emplace_back(*text);
    return {};
  }));
  return entry.alpn.size() <= kMost ? Status{} : yaml_.error(node, fmt::format("more than {} ALPN protocols", kMost));
}

// What the host's own transform means for its rules, and that no secret goes to names that anybody can register.
Status DomainReader::settle_transforms(const YamlNode& host_node, const std::vector<HeaderTransform>& transforms,
                                       DomainEntry& entry) const {
  if (entry.rules.empty() && !transforms.empty()) {
    entry.rules.push_back({.terms = {}, .position = entry.position});
  }
  for (auto& rule : entry.rules) {
    SR_TRY(rules_.settle(transforms, rule));
    const bool shared = entry.host.wildcard && is_shared_suffix(entry.host.name.text());
    if (!rule.terms.sets_headers()) continue;
    if (entry.host.every) return yaml_.error(host_node, "every host would get the secret; name the hosts");
    if (!shared) continue;
    return yaml_.error(host_node,
                       fmt::format("anyone can register a name below {}, and would get the secret", entry.host.text()));
  }
  return {};
}

Status DomainReader::domain(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const {
  std::optional<HostPattern> pattern;
  const auto accepted = in_catalog ? Wildcards::kOfSites : Wildcards::kOfSitesAndEveryHost;
  if (node.is_scalar()) {
    SR_TRY(values_.host(node, pattern, accepted));
    out.push_back({.host = std::move(*pattern), .position = node.position});
    return {};
  }
  if (!node.is_mapping()) return yaml_.wrong_type(node, "an item of domains", "a host or a mapping with 'host'");
  const YamlNode* host_node = ValueReader::key(node, "host");
  const Status of_host = host_node == nullptr ? Status{} : values_.host(*host_node, pattern, accepted);
  DomainEntry entry{.host = pattern.value_or(HostPattern{*base::HostName::parse("unset.invalid")}),
                    .position = node.position};
  std::vector<HeaderTransform> transforms;
  base::PortRanges listed;
  const std::array<YamlReader::Key, 9> known{{
      {"host", [](const YamlNode&) { return Status{}; }},
      {"rules", [&](const YamlNode& value) { return rules_.rules(value, in_catalog, entry.rules); }},
      {"addresses", [&](const YamlNode& value) { return values_.addresses(value, entry.addresses); }},
      {"ports", [&](const YamlNode& value) { return read_ports(yaml_, value, listed); }},
      {"tls", [&](const YamlNode& value) { return tls(value, entry); }},
      {"alpn", [&](const YamlNode& value) { return alpn(value, entry); }},
      {"transform", [&](const YamlNode& value) { return rules_.transform(value, transforms); }},
      {"merge_mode", [&](const YamlNode& value) { return values_.merge_mode(value, entry.replace); }},
      {"txt", [&](const YamlNode& value) { return values_.flag(value, "txt", entry.txt); }},
  }};
  const Status of_keys = yaml_.keys(node, "an item of domains", known);
  SR_TRY(of_host);
  SR_TRY(of_keys);
  if (host_node == nullptr) return yaml_.error(node, "an item of domains needs 'host'");
  if (pattern->every && !entry.addresses.empty()) return yaml_.error(*host_node, kNotForEveryHost);
  SR_TRY(settle_transforms(*host_node, transforms, entry));
  if (!listed.empty() && entry.rules.empty()) entry.rules.push_back({.terms = {}, .position = entry.position});
  for (auto& rule : entry.rules) rule.terms.ports = listed;
  out.push_back(std::move(entry));
  return {};
}

Status DomainReader::domains(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const {
  if (node.is_sequence()) out.reserve(node.children.size());
  return yaml_.each(node, "domains", true, [&](const YamlNode& item) { return domain(item, out, in_catalog); });
}

}  // namespace soleroute::policy
