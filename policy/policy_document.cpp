// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/policy_document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/web_ports.h"
#include "policy/github_reader.h"
#include "policy/port_reader.h"
#include "policy/rule_reader.h"
#include "policy/service_catalog.h"
#include "policy/source_text.h"
#include "policy/special_names.h"
#include "policy/yaml_diagnosis.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {
namespace {

using base::Result;
using base::Status;

const YamlNode* find_key(const YamlNode& mapping, std::string_view name) {
  for (std::size_t i = 0; i + 1 < mapping.children.size(); i += 2) {
    if (mapping.children[i].text == name) return &mapping.children[i + 1];
  }
  return nullptr;
}

class PolicyReader {
 public:
  explicit PolicyReader(const SourceText& source) : yaml_(source), rules_(source), github_(source) {}

  Result<PolicyDocument> policy(const YamlNode& root);
  Result<ServiceDocument> service(const YamlNode& root);

 private:
  Status host(const YamlNode& node, std::optional<HostPattern>& out) const;
  Status domain(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const;
  Status domains(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const;
  Status merge_mode(const YamlNode& node, bool& replace) const;
  Status addresses(const YamlNode& node, std::vector<base::Cidr>& out) const;
  Status tls(const YamlNode& node, DomainEntry& entry) const;
  Status alpn(const YamlNode& node, DomainEntry& entry) const;
  Status settle_transforms(const YamlNode& host_node, const std::vector<HeaderTransform>& transforms,
                           DomainEntry& entry) const;
  Status service_name(const YamlNode& node, ServiceEntry& entry) const;
  Status service_entry(const YamlNode& node, std::vector<ServiceEntry>& out) const;
  Status scope_is_whole(const YamlNode& node, const ServiceEntry& entry) const;
  Status optional_groups(const YamlNode& node, ServiceEntry& entry) const;
  Status optional_group(const YamlNode& node, OptionalGroup& group) const;
  Status groups_of_service(const YamlNode& node, std::vector<OptionalGroup>& out) const;
  Status endpoint(const YamlNode& node, std::vector<EndpointEntry>& out) const;
  Status endpoint_host(const YamlNode& node, EndpointEntry& entry) const;
  Status endpoint_is_whole(const YamlNode& node, EndpointEntry& entry) const;
  Status flag(const YamlNode& node, std::string_view what, bool& out) const;
  Status cidr(const YamlNode& node, std::string_view what, base::Cidr& out) const;
  Status static_address(const YamlNode& node, StaticHost& entry) const;
  Status static_hosts(const YamlNode& node, std::vector<StaticHost>& out) const;

  YamlReader yaml_;
  RuleReader rules_;
  GithubReader github_;
};

Status PolicyReader::host(const YamlNode& node, std::optional<HostPattern>& out) const {
  SR_LET(text, yaml_.text(node, "a host"));
  auto pattern = parse_host_pattern(*text);
  if (!pattern) {
    return yaml_.error(node, fmt::format("'{}' {}{}", base::shown(text->substr(0, 80)), pattern.error().message,
                                         node.quoted ? "" : spelling_hint(*text)));
  }
  out = std::move(*pattern);
  return {};
}

Status PolicyReader::merge_mode(const YamlNode& node, bool& replace) const {
  SR_LET(chosen, yaml_.choice(node, "merge_mode", {"replace"}));
  replace = true;
  return {};
}

Status PolicyReader::flag(const YamlNode& node, std::string_view what, bool& out) const {
  SR_LET(set, yaml_.boolean(node, what));
  out = *set;
  return {};
}

Status PolicyReader::cidr(const YamlNode& node, std::string_view what, base::Cidr& out) const {
  if (!node.is_scalar()) return yaml_.wrong_type(node, what, "an address or a range");
  const auto parsed = base::Cidr::parse(node.text);
  if (!parsed) return yaml_.error(node, fmt::format("{}: {}", what, base::shown(parsed.error().message)));
  out = *parsed;
  return {};
}

Status PolicyReader::addresses(const YamlNode& node, std::vector<base::Cidr>& out) const {
  return yaml_.each(node, "addresses", false, [&](const YamlNode& item) -> Status {
    base::Cidr range;
    SR_TRY(cidr(item, "addresses", range));
    out.push_back(range);
    return {};
  });
}

Status PolicyReader::tls(const YamlNode& node, DomainEntry& entry) const {
  SR_LET(chosen, yaml_.choice(node, "tls", {"inspect", "passthrough"}));
  entry.tls = *chosen == "inspect" ? TlsMode::kInspect : TlsMode::kPassThrough;
  entry.tls_position = node.position;
  return {};
}

// Identifiers of ALPN (RFC 7301 section 3.2), as far as they are text.
Status PolicyReader::alpn(const YamlNode& node, DomainEntry& entry) const {
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
Status PolicyReader::settle_transforms(const YamlNode& host_node, const std::vector<HeaderTransform>& transforms,
                                       DomainEntry& entry) const {
  if (entry.rules.empty() && !transforms.empty()) {
    entry.rules.push_back({.terms = {}, .position = entry.position});
  }
  for (auto& rule : entry.rules) {
    SR_TRY(rules_.settle(transforms, rule));
    const bool shared = entry.host.wildcard && is_shared_suffix(entry.host.name.text());
    if (!shared || !rule.terms.sets_headers()) continue;
    return yaml_.error(host_node,
                       fmt::format("anyone can register a name below {}, and would get the secret", entry.host.text()));
  }
  return {};
}

Status PolicyReader::domain(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const {
  std::optional<HostPattern> pattern;
  if (node.is_scalar()) {
    SR_TRY(host(node, pattern));
    out.push_back({.host = std::move(*pattern), .position = node.position});
    return {};
  }
  if (!node.is_mapping()) return yaml_.wrong_type(node, "an item of domains", "a host or a mapping with 'host'");
  const YamlNode* host_node = find_key(node, "host");
  const Status of_host = host_node == nullptr ? Status{} : host(*host_node, pattern);
  DomainEntry entry{.host = pattern.value_or(HostPattern{*base::HostName::parse("unset.invalid")}),
                    .position = node.position};
  std::vector<HeaderTransform> transforms;
  base::PortRanges listed;
  const std::array<YamlReader::Key, 9> known{{
      {"host", [](const YamlNode&) { return Status{}; }},
      {"rules", [&](const YamlNode& value) { return rules_.rules(value, in_catalog, entry.rules); }},
      {"addresses", [&](const YamlNode& value) { return addresses(value, entry.addresses); }},
      {"ports", [&](const YamlNode& value) { return read_ports(yaml_, value, listed); }},
      {"tls", [&](const YamlNode& value) { return tls(value, entry); }},
      {"alpn", [&](const YamlNode& value) { return alpn(value, entry); }},
      {"transform", [&](const YamlNode& value) { return rules_.transform(value, transforms); }},
      {"merge_mode", [&](const YamlNode& value) { return merge_mode(value, entry.replace); }},
      {"txt", [&](const YamlNode& value) { return flag(value, "txt", entry.txt); }},
  }};
  const Status of_keys = yaml_.keys(node, "an item of domains", known);
  SR_TRY(of_host);
  SR_TRY(of_keys);
  if (host_node == nullptr) return yaml_.error(node, "an item of domains needs 'host'");
  SR_TRY(settle_transforms(*host_node, transforms, entry));
  if (!listed.empty() && entry.rules.empty()) entry.rules.push_back({.terms = {}, .position = entry.position});
  for (auto& rule : entry.rules) rule.terms.ports = listed;
  out.push_back(std::move(entry));
  return {};
}

Status PolicyReader::domains(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const {
  if (node.is_sequence()) out.reserve(node.children.size());
  return yaml_.each(node, "domains", true, [&](const YamlNode& item) { return domain(item, out, in_catalog); });
}

Status PolicyReader::service_name(const YamlNode& node, ServiceEntry& entry) const {
  SR_LET(text, yaml_.text(node, "a service"));
  std::string name = lowered(*text);
  if (find_service(name) == nullptr) {
    const std::string suggestion = did_you_mean(name, service_names());
    return yaml_.error(node, fmt::format("unknown service '{}'{}", base::shown(name.substr(0, 80)),
                                         suggestion.empty() ? "; 'gateway services' lists them" : suggestion));
  }
  entry.name = std::move(name);
  return {};
}

Status PolicyReader::service_entry(const YamlNode& node, std::vector<ServiceEntry>& out) const {
  ServiceEntry entry{.name = {}, .position = node.position};
  if (node.is_scalar()) {
    SR_TRY(service_name(node, entry));
    out.push_back(std::move(entry));
    return {};
  }
  if (!node.is_mapping()) return yaml_.wrong_type(node, "an item of services", "a name or a mapping with 'name'");
  const auto readonly = [&](const YamlNode& value) -> Status {
    SR_LET(flag, yaml_.boolean(value, "readonly"));
    entry.readonly = *flag;
    return {};
  };
  GithubScope scope;
  const std::array<YamlReader::Key, 8> known{{
      {"name", [&](const YamlNode& value) { return service_name(value, entry); }},
      {"addresses", [&](const YamlNode& value) { return addresses(value, entry.addresses); }},
      {"readonly", readonly},
      {"optional", [](const YamlNode&) { return Status{}; }},  // once the service is known
      {"merge_mode", [&](const YamlNode& value) { return merge_mode(value, entry.replace); }},
      {"repos", [&](const YamlNode& value) { return github_.repositories(value, scope.repositories); }},
      {"git", [&](const YamlNode& value) { return github_.access(value, "git", "git-askpass", scope.git); }},
      {"api", [&](const YamlNode& value) { return github_.access(value, "api", "env", scope.api); }},
  }};
  SR_TRY(yaml_.keys(node, "an item of services", known));
  if (entry.name.empty()) return yaml_.error(node, "an item of services needs 'name'");
  if (const YamlNode* groups = find_key(node, "optional"); groups != nullptr) {
    SR_TRY(optional_groups(*groups, entry));
  }
  if (!scope.repositories.empty() || scope.git || scope.api) entry.scope = std::move(scope);
  SR_TRY(scope_is_whole(node, entry));
  out.push_back(std::move(entry));
  return {};
}

Status PolicyReader::optional_groups(const YamlNode& node, ServiceEntry& entry) const {
  const ServiceFile& file = *find_service(entry.name);
  SR_LET(service, read_service(SourceText(file.name, file.text)));
  std::vector<std::string_view> names;
  for (const auto& group : service->optional) names.push_back(group.name);
  if (names.empty()) return yaml_.error(node, fmt::format("{} has no optional groups", entry.name));
  return yaml_.each(node, "optional", true, [&](const YamlNode& item) -> Status {
    SR_LET(name, yaml_.text(item, "an optional group"));
    if (std::ranges::find(names, *name) == names.end()) {
      const std::string suggestion = did_you_mean(*name, names);
      return yaml_.error(
          item, fmt::format("{} has no optional group '{}'{}", entry.name, base::shown(name->substr(0, 80)),
                            suggestion.empty() ? fmt::format("; it has {}", fmt::join(names, ", ")) : suggestion));
    }
    if (std::ranges::find(entry.optional, *name) == entry.optional.end()) entry.optional.emplace_back(*name);
    return {};
  });
}

Status PolicyReader::scope_is_whole(const YamlNode& node, const ServiceEntry& entry) const {
  if (!entry.scope) return {};
  const auto at = [&](std::initializer_list<std::string_view> keys) -> const YamlNode& {
    for (const auto key : keys) {
      if (const auto* found = find_key(node, key)) return *found;
    }
    return node;
  };
  if (entry.name != "github") {
    return yaml_.error(at({"repos", "git", "api"}),
                       fmt::format("'repos', 'git' and 'api' are keys of the github service, "
                                   "not of {}",
                                   entry.name));
  }
  if (entry.scope->repositories.empty()) {
    return yaml_.error(at({"git", "api"}), "'git' and 'api' need 'repos': a list of repositories");
  }
  if (!entry.scope->git && !entry.scope->api) {
    return yaml_.error(at({"repos"}), "'repos' needs 'git', 'api' or both");
  }
  if (find_key(node, "readonly") != nullptr) {
    return yaml_.error(at({"readonly"}),
                       "'readonly' is for the whole of GitHub; with 'repos' write 'access: read' under "
                       "'git' and 'api'");
  }
  return {};
}

Status PolicyReader::endpoint_host(const YamlNode& node, EndpointEntry& entry) const {
  std::optional<HostPattern> pattern;
  SR_TRY(host(node, pattern));
  entry.host = std::move(*pattern);
  return {};
}

Status PolicyReader::endpoint_is_whole(const YamlNode& node, EndpointEntry& entry) const {
  const bool by_address = find_key(node, "cidr") != nullptr;
  if (entry.host.has_value() == by_address) return yaml_.error(node, "an endpoint needs either 'host' or 'cidr'");
  if ((find_key(node, "port") == nullptr) == (find_key(node, "ports") == nullptr)) {
    return yaml_.error(node, "an endpoint needs either 'port' or 'ports'");
  }
  if (by_address && find_key(node, "txt") != nullptr)
    return yaml_.error(node, "use 'txt' with 'host', not with 'cidr'");
  if (by_address && !entry.addresses.empty()) return yaml_.error(node, "use 'addresses' with 'host', not with 'cidr'");
  const bool listed = base::contains(entry.ports, base::kHttpPort) || base::contains(entry.ports, base::kHttpsPort);
  const bool web = entry.transport == Transport::kTcp && listed;
  if (!entry.host || !web) return {};
  if (find_key(node, "protocol") == nullptr) {
    return yaml_.error(node,
                       "ports 80 and 443 of a host are decided by 'domains:'; list the host there, or, for what is "
                       "neither HTTP nor TLS (SSH), write 'protocol: tcp'");
  }
  return {};
}

Status PolicyReader::endpoint(const YamlNode& node, std::vector<EndpointEntry>& out) const {
  EndpointEntry entry;
  entry.position = node.position;
  const auto protocol = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "protocol", {"tcp", "udp"}));
    entry.transport = *chosen == "tcp" ? Transport::kTcp : Transport::kUdp;
    return {};
  };
  const std::array<YamlReader::Key, 7> known{{
      {"host", [&](const YamlNode& value) { return endpoint_host(value, entry); }},
      {"cidr", [&](const YamlNode& value) { return cidr(value, "cidr", entry.cidr); }},
      {"port", [&](const YamlNode& value) { return read_port(yaml_, value, entry.ports); }},
      {"ports", [&](const YamlNode& value) { return read_ports(yaml_, value, entry.ports); }},
      {"protocol", protocol},
      {"addresses", [&](const YamlNode& value) { return addresses(value, entry.addresses); }},
      {"txt", [&](const YamlNode& value) { return flag(value, "txt", entry.txt); }},
  }};
  SR_TRY(yaml_.keys(node, "an item of endpoints", known));
  SR_TRY(endpoint_is_whole(node, entry));
  out.push_back(std::move(entry));
  return {};
}

Status PolicyReader::static_address(const YamlNode& node, StaticHost& entry) const {
  if (!node.is_scalar()) return yaml_.wrong_type(node, "hosts", "an address");
  const auto address = base::IpAddress::parse(node.text);
  if (!address) return yaml_.error(node, fmt::format("hosts: {}", base::shown(address.error().message)));
  if (entry.addresses.size() == kMaxStaticAddresses) {
    return yaml_.error(node, fmt::format("more than {} addresses of one name", kMaxStaticAddresses));
  }
  if (std::ranges::find(entry.addresses, *address) == entry.addresses.end()) entry.addresses.push_back(*address);
  return {};
}

Status PolicyReader::static_hosts(const YamlNode& node, std::vector<StaticHost>& out) const {
  if (node.is_null()) return {};
  if (!node.is_mapping()) return yaml_.wrong_type(node, "hosts", "a mapping from names to addresses");
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const YamlNode& key = node.children[i];
    const YamlNode& value = node.children[i + 1];
    std::optional<HostPattern> pattern;
    SR_TRY(host(key, pattern));
    if (pattern->wildcard) return yaml_.error(key, "hosts: needs one name, not a wildcard");
    const auto kind = special_name(pattern->name);
    if (kind == SpecialName::kGateway || is_never_forwarded(kind)) {
      return yaml_.error(key, fmt::format("hosts: {} cannot have other addresses", pattern->name.text()));
    }
    StaticHost entry{.name = std::move(pattern->name), .addresses = {}, .position = key.position};
    const auto one = [&](const YamlNode& item) { return static_address(item, entry); };
    SR_TRY(value.is_scalar() ? one(value) : yaml_.each(value, "hosts", false, one));
    out.push_back(std::move(entry));
  }
  return {};
}

Result<PolicyDocument> PolicyReader::policy(const YamlNode& root) {
  PolicyDocument document;
  if (root.is_null()) return document;
  const auto services = [&](const YamlNode& value) {
    return yaml_.each(value, "services", true,
                      [&](const YamlNode& item) { return service_entry(item, document.services); });
  };
  const auto endpoints = [&](const YamlNode& value) {
    return yaml_.each(value, "endpoints", true,
                      [&](const YamlNode& item) { return endpoint(item, document.endpoints); });
  };
  const auto mode = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "mode", {"enforce", "observe"}));
    document.mode = *chosen == "enforce" ? Mode::kEnforce : Mode::kObserve;
    return {};
  };
  const auto ech = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "ech", {"pass", "deny"}));
    document.ech = *chosen == "deny" ? EchMode::kDeny : EchMode::kPass;
    return {};
  };
  const auto denied_names = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "denied_names", {"address", "nxdomain"}));
    document.denied_names = *chosen == "nxdomain" ? DeniedNames::kNxdomain : DeniedNames::kAddress;
    return {};
  };
  const auto listed = [&](const YamlNode& value) {
    return yaml_.each(value, "addresses", true, [&](const YamlNode& item) -> Status {
      AddressEntry entry{.range = {}, .position = item.position};
      SR_TRY(cidr(item, "addresses", entry.range));
      if (document.addresses.size() == kMaxListedRanges) {
        return yaml_.error(item, fmt::format("more than {} ranges for the whole policy", kMaxListedRanges));
      }
      document.addresses.push_back(entry);
      return {};
    });
  };
  const std::array<YamlReader::Key, 8> known{{
      {"services", services},
      {"domains", [&](const YamlNode& value) { return domains(value, document.domains, false); }},
      {"endpoints", endpoints},
      {"mode", mode},
      {"ech", ech},
      {"denied_names", denied_names},
      {"addresses", listed},
      {"hosts", [&](const YamlNode& value) { return static_hosts(value, document.hosts); }},
  }};
  SR_TRY(yaml_.keys(root, "a policy", known));
  return document;
}

Status PolicyReader::optional_group(const YamlNode& node, OptionalGroup& group) const {
  const auto description = [&](const YamlNode& value) -> Status {
    SR_LET(text, yaml_.text(value, "a description"));
    group.description = *text;
    return {};
  };
  const std::array<YamlReader::Key, 2> known{{
      {"description", description},
      {"domains", [&](const YamlNode& value) { return domains(value, group.domains, true); }},
  }};
  SR_TRY(yaml_.keys(node, "an optional group", known));
  if (group.description.empty() || group.domains.empty()) {
    return yaml_.error(node, "an optional group needs 'description' and 'domains'");
  }
  return {};
}

// By name, so that any name can be given.
Status PolicyReader::groups_of_service(const YamlNode& node, std::vector<OptionalGroup>& out) const {
  if (!node.is_mapping()) return yaml_.wrong_type(node, "optional", "a mapping of groups");
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    OptionalGroup group{.name = node.children[i].text, .description = {}, .domains = {}};
    SR_TRY(optional_group(node.children[i + 1], group));
    out.push_back(std::move(group));
  }
  return {};
}

Result<ServiceDocument> PolicyReader::service(const YamlNode& root) {
  ServiceDocument document;
  const auto text_into = [&](std::string& out) {
    return [&](const YamlNode& value) -> Status {
      SR_LET(text, yaml_.text(value, "name and description"));
      out = *text;
      return {};
    };
  };
  const std::array<YamlReader::Key, 5> known{{
      {"name", text_into(document.name)},
      {"description", text_into(document.description)},
      {"domains", [&](const YamlNode& value) { return domains(value, document.domains, true); }},
      {"readonly", [&](const YamlNode& value) { return domains(value, document.readonly, true); }},
      {"optional", [&](const YamlNode& value) { return groups_of_service(value, document.optional); }},
  }};
  SR_TRY(yaml_.keys(root, "a service", known));
  if (document.name.empty() || document.description.empty() || document.domains.empty()) {
    return yaml_.error(root, "a service needs 'name', 'description' and 'domains'");
  }
  return document;
}

}  // namespace

Result<PolicyDocument> read_policy(const SourceText& source) {
  SR_LET(root, parse_yaml(source));
  return PolicyReader(source).policy(*root);
}

Result<ServiceDocument> read_service(const SourceText& source) {
  SR_LET(root, parse_yaml(source));
  return PolicyReader(source).service(*root);
}

}  // namespace soleroute::policy
