// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/layers.h"

#include <algorithm>

#include "policy/service_catalog.h"

namespace soleroute::policy {
namespace {

std::shared_ptr<const RuleTerms> readonly_terms() {
  RuleTerms terms;
  terms.methods = {"GET", "HEAD", "OPTIONS"};
  return std::make_shared<const RuleTerms>(std::move(terms));
}

template <class T>
void add_missing(std::vector<T>& to, const std::vector<T>& from) {
  for (const auto& one : from) {
    if (std::ranges::find(to, one) == to.end()) to.push_back(one);
  }
}

// Allowed by nothing but what adds to others.
bool is_optional(const MergedHost& host) {
  return !host.grants.empty() && std::ranges::all_of(host.grants, &Grant::optional);
}

}  // namespace

MergedHost& Layers::host(const HostPattern& pattern, Origin origin) {
  const auto known = by_pattern_.find({pattern.suffix(), pattern.wildcard});
  if (known == by_pattern_.end()) {
    MergedHost& added = hosts_.emplace_back(MergedHost{.pattern = pattern, .origin = origin});
    by_pattern_.emplace(Key{added.pattern.suffix(), added.pattern.wildcard}, &added);
    return added;
  }
  MergedHost& found = *known->second;
  if (found.grants.empty()) found.origin = origin;
  return found;
}

void Layers::grant(MergedHost& host, Grant grant) {
  const bool known = std::ranges::any_of(
      host.grants, [&](const Grant& earlier) { return earlier.owner == grant.owner && earlier.same_terms(grant); });
  if (!known) host.grants.push_back(std::move(grant));
}

void Layers::discard_service(std::string_view name) {
  for (auto& host : hosts_) {
    std::erase_if(host.grants, [&](const Grant& grant) { return grant.owner == name; });
    std::erase_if(host.service_addresses, [&](const ServiceAddresses& listed) { return listed.owner == name; });
  }
}

void Layers::add_service_rules(const DomainEntry& domain, Origin origin, std::string_view service) {
  for (const auto& rule : domain.rules) {
    grant(host(domain.host, origin), {std::make_shared<const RuleTerms>(rule.terms), origin, service});
  }
}

void Layers::add_service_addresses(MergedHost& host, const ServiceAddresses& more) {
  if (more.addresses.empty()) return;
  const auto known = std::ranges::find(host.service_addresses, more.owner, &ServiceAddresses::owner);
  if (known == host.service_addresses.end()) {
    host.service_addresses.push_back(more);
  } else {
    add_missing(known->addresses, more.addresses);
  }
}

base::Status Layers::add_service(const ServiceEntry& entry, std::uint32_t file) {
  const ServiceFile& service = *find_service(entry.name);
  if (entry.replace) discard_service(service.name);
  const Origin origin{file, entry.position.line};
  const ServiceAddresses listed{service.name, entry.addresses};
  if (entry.scope) {
    for (const auto& domain : expand(*entry.scope, entry.position)) {
      add_service_rules(domain, origin, service.name);
      add_service_addresses(host(domain.host, origin), listed);
    }
    return {};
  }
  ServiceUse& use = use_of(service.name);
  if (entry.replace) use = {.name = service.name, .document = std::move(use.document)};
  if (!use.document) {
    SR_LET(document, read_service(SourceText(service.name, service.text)));
    use.document = std::make_shared<const ServiceDocument>(std::move(*document));
  }
  use.readonly = use.readonly && entry.readonly;
  for (const auto& domain : use.document->domains) add_service_host(domain, entry, {nullptr, origin, service.name});
  if (entry.readonly) {
    for (const auto& domain : use.document->readonly) add_service_rules(domain, origin, service.name);
  }
  for (const auto& name : entry.optional) {
    if (std::ranges::find(use.groups, name) == use.groups.end()) use.groups.push_back(name);
  }
  add_optional(entry, use, origin);
  return {};
}

ServiceUse& Layers::use_of(std::string_view service) {
  const auto found = std::ranges::find(services_, service, &ServiceUse::name);
  return found != services_.end() ? *found : services_.emplace_back(ServiceUse{.name = service});
}

// `unruled` is what a host without rules gets. `readonly` narrows it, and the rules too: a rule keeps its path and
// loses the methods that write.
void Layers::add_service_host(const DomainEntry& domain, const ServiceEntry& entry, const Grant& unruled) {
  const auto narrow = readonly_terms();
  const auto allow = [&](std::shared_ptr<const RuleTerms> terms) {
    Grant added = unruled;
    added.terms = std::move(terms);
    added.optional = unruled.optional || !domain.rules.empty();
    grant(host(domain.host, unruled.origin), std::move(added));
    add_service_addresses(host(domain.host, unruled.origin), {unruled.owner, entry.addresses});
  };
  if (domain.rules.empty()) return allow(entry.readonly ? narrow : nullptr);
  for (const auto& rule : domain.rules) {
    auto terms = rule.terms;
    if (entry.readonly && terms.methods.empty()) terms.methods = narrow->methods;
    if (entry.readonly) {
      std::erase_if(terms.methods, [&](const std::string& method) {
        return std::ranges::find(narrow->methods, method) == narrow->methods.end();
      });
      if (terms.methods.empty()) continue;  // would mean any method
    }
    allow(std::make_shared<const RuleTerms>(std::move(terms)));
  }
}

void Layers::add_optional(const ServiceEntry& entry, const ServiceUse& use, Origin origin) {
  for (const auto& group : use.document->optional) {
    if (std::ranges::find(entry.optional, group.name) == entry.optional.end()) continue;
    for (const auto& domain : group.domains) add_service_host(domain, entry, {nullptr, origin, use.name, true});
  }
}

void Layers::widen_optional_hosts() {
  for (auto& host : hosts_) {
    if (is_optional(host)) widen(host);
  }
}

// By the longest wildcard above that is not optional itself, and by those that are on the way to it.
void Layers::widen(MergedHost& host) {
  std::string_view above = host.pattern.suffix();
  for (bool first = true, last = above.empty(); !last; first = false) {
    const auto found = first && host.pattern.wildcard ? by_pattern_.end() : by_pattern_.find({above, true});
    if (found != by_pattern_.end() && !found->second->grants.empty()) {
      const MergedHost& wildcard = *found->second;
      const bool whole = !is_optional(wildcard);
      for (const auto& given : wildcard.grants) grant(host, given);
      add_missing(host.addresses, wildcard.addresses);
      for (const auto& listed : wildcard.service_addresses) add_service_addresses(host, listed);
      add_missing(host.alpn, wildcard.alpn);
      if (host.alpn_position.line == 0) {
        host.alpn_position = wildcard.alpn_position;
        host.alpn_file = wildcard.alpn_file;
      }
      if (host.tls == TlsMode::kUnstated) {
        host.tls = wildcard.tls;
        host.tls_origin = wildcard.tls_origin;
        host.tls_position = wildcard.tls_position;
      }
      if (whole) return;
    }
    last = above.empty();
    const auto dot = above.find('.');
    above = dot == std::string_view::npos ? std::string_view{} : above.substr(dot + 1);
  }
}

void Layers::add_domain(DomainEntry entry, std::uint32_t file) {
  const Origin origin{file, entry.position.line};
  MergedHost& merged = host(entry.host, origin);
  if (entry.replace) {
    merged.origin = origin;
    merged.grants.clear();
    merged.addresses.clear();
    merged.service_addresses.clear();
    merged.txt = false;
    merged.tls = TlsMode::kUnstated;
    merged.alpn.clear();
  }
  if (entry.rules.empty()) grant(merged, {nullptr, origin, {}});
  for (auto& rule : entry.rules) {
    const Origin at{file, rule.position.line};
    grant(merged, {std::make_shared<const RuleTerms>(std::move(rule.terms)), at, {}});
  }
  add_missing(merged.addresses, entry.addresses);
  merged.txt = merged.txt || entry.txt;
  if (!entry.alpn.empty()) {
    add_missing(merged.alpn, entry.alpn);
    merged.alpn_position = entry.alpn_position;
    merged.alpn_file = file;
  }
  if (entry.tls == TlsMode::kUnstated) return;
  merged.tls = entry.tls;
  merged.tls_origin = {file, entry.tls_position.line};
  merged.tls_position = entry.tls_position;
}

void Layers::add_endpoint(EndpointEntry entry, std::uint32_t file) {
  const Origin origin{file, entry.position.line};
  EndpointRecord record{.transport = entry.transport,
                        .name = entry.host ? entry.host->text() : entry.cidr.to_string(),
                        .by_address = !entry.host,
                        .cidr = entry.cidr,
                        .ports = std::move(entry.ports),
                        .addresses = std::move(entry.addresses),
                        .origin = origin};
  record.txt = entry.txt;
  if (record.by_address) record.addresses = {record.cidr};
  endpoints_.push_back(std::move(record));
}

void Layers::add_deny(DenyEntry entry, std::uint32_t file) {
  const auto same = [&](const MergedDeny& earlier) {
    if (earlier.host.has_value() != entry.host.has_value()) return false;
    return entry.host ? *earlier.host == *entry.host : earlier.range == entry.cidr;
  };
  if (entry.replace) std::erase_if(denies_, same);
  if (entry.nothing) return;
  MergedDeny denied{.host = std::move(entry.host),
                    .range = entry.cidr,
                    .transport = entry.transport,
                    .ports = std::move(entry.ports),
                    .origin = {file, entry.position.line}};
  if (entry.rules.empty()) denies_.push_back(std::move(denied));
  for (auto& rule : entry.rules) {
    auto one = denied;
    one.terms = std::make_shared<const RuleTerms>(std::move(rule.terms));
    one.origin.line = rule.position.line;
    denies_.push_back(std::move(one));
  }
}

void Layers::add_addresses(const std::vector<AddressEntry>& entries, std::uint32_t file) {
  for (const auto& entry : entries) {
    if (std::ranges::find(addresses_, entry.range, &ListedRange::range) != addresses_.end()) continue;
    addresses_.push_back({entry.range, {file, entry.position.line}});
  }
}

base::Status Layers::add(PolicyDocument document, std::uint32_t file) {
  for (const auto& entry : document.services) {
    SR_TRY(add_service(entry, file));
  }
  for (auto& entry : document.domains) add_domain(std::move(entry), file);
  for (auto& entry : document.endpoints) add_endpoint(std::move(entry), file);
  for (auto& entry : document.deny) add_deny(std::move(entry), file);
  add_addresses(document.addresses, file);
  for (auto& entry : document.hosts) {
    static_hosts_[entry.name.text()] = {std::move(entry.addresses), {file, entry.position.line}};
  }
  mode_ = document.mode.value_or(mode_);
  ech_ = document.ech.value_or(ech_);
  denied_names_ = document.denied_names.value_or(denied_names_);
  return {};
}

}  // namespace soleroute::policy
