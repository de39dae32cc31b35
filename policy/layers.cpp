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

void add_missing(std::vector<base::Cidr>& to, const std::vector<base::Cidr>& from) {
  for (const auto& range : from) {
    if (std::ranges::find(to, range) == to.end()) to.push_back(range);
  }
}

}  // namespace

MergedHost& Layers::host(const HostPattern& pattern, Origin origin) {
  const auto known = by_pattern_.find({pattern.name.text(), pattern.wildcard});
  if (known == by_pattern_.end()) {
    MergedHost& added = hosts_.emplace_back(MergedHost{.pattern = pattern, .origin = origin});
    by_pattern_.emplace(Key{added.pattern.name.text(), added.pattern.wildcard}, &added);
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
  }
}

void Layers::add_service_rules(const DomainEntry& domain, Origin origin, std::string_view service) {
  for (const auto& rule : domain.rules) {
    grant(host(domain.host, origin), {std::make_shared<const RuleTerms>(rule.terms), origin, service});
  }
}

base::Status Layers::add_service(const ServiceEntry& entry, std::uint32_t file) {
  const ServiceFile& service = *find_service(entry.name);
  if (entry.replace) discard_service(service.name);
  const Origin origin{file, entry.position.line};
  if (entry.scope) {
    for (const auto& domain : expand(*entry.scope, entry.position)) add_service_rules(domain, origin, service.name);
    return {};
  }
  auto document = read_service(SourceText(service.name, service.text));
  if (!document) return std::unexpected(document.error());
  const auto narrow = readonly_terms();
  for (const auto& domain : document->domains) {
    grant(host(domain.host, origin), {entry.readonly ? narrow : nullptr, origin, service.name});
  }
  if (!entry.readonly) return {};
  for (const auto& domain : document->readonly) add_service_rules(domain, origin, service.name);
  return {};
}

void Layers::add_domain(DomainEntry entry, std::uint32_t file) {
  const Origin origin{file, entry.position.line};
  MergedHost& merged = host(entry.host, origin);
  if (entry.replace) {
    merged.origin = origin;
    merged.grants.clear();
    merged.addresses.clear();
    merged.tls = TlsMode::kUnstated;
  }
  if (entry.rules.empty()) grant(merged, {nullptr, origin, {}});
  for (auto& rule : entry.rules) {
    const Origin at{file, rule.position.line};
    grant(merged, {std::make_shared<const RuleTerms>(std::move(rule.terms)), at, {}});
  }
  add_missing(merged.addresses, entry.addresses);
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
  if (record.by_address) record.addresses = {record.cidr};
  endpoints_.push_back(std::move(record));
}

base::Status Layers::add(PolicyDocument document, std::uint32_t file) {
  for (const auto& entry : document.services) {
    if (auto status = add_service(entry, file); !status) return status;
  }
  for (auto& entry : document.domains) add_domain(std::move(entry), file);
  for (auto& entry : document.endpoints) add_endpoint(std::move(entry), file);
  mode_ = document.mode.value_or(mode_);
  return {};
}

}  // namespace soleroute::policy
