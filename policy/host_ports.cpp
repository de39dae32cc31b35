// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/host_ports.h"

#include <algorithm>

#include "base/web_ports.h"

namespace soleroute::policy {
namespace {

bool is_rule_for(const Policy::Data& data, const HostRecord& record, Scheme scheme, std::uint16_t port) {
  return std::ranges::any_of(data.rules_of(record), [&](const Rule& rule) { return rule.terms.admits(scheme, port); });
}

bool is_about_web_ports(const RuleTerms& terms) {
  return terms.ports.empty() || base::contains(terms.ports, base::kHttpPort) ||
         base::contains(terms.ports, base::kHttpsPort);
}

}  // namespace

HttpsOnPort https_on(const Policy::Data& data, const HostRecord& record, std::uint16_t port) {
  if (port == base::kHttpsPort) return {record.https, record.https_origin, record.https_open};
  HttpsOnPort found;
  bool sets_headers = false;
  for (const Rule& rule : data.rules_of(record)) {
    if (!rule.terms.admits(Scheme::kHttps, port)) continue;
    sets_headers = sets_headers || rule.terms.sets_headers();
    if (found.verdict == HttpsVerdict::kNever) found.verdict = HttpsVerdict::kInspect;
    if (rule.terms.constrains_request() || found.open) continue;
    found = {HttpsVerdict::kPassThrough, rule.origin, true};
  }
  const bool inspected = sets_headers || record.inspect_wanted;
  if (inspected && found.verdict == HttpsVerdict::kPassThrough) found.verdict = HttpsVerdict::kInspect;
  return found;
}

bool has_http_on(const Policy::Data& data, const HostRecord& record, std::uint16_t port) {
  return port == base::kHttpPort ? record.http_somehow : is_rule_for(data, record, Scheme::kHttp, port);
}

bool decides_port(const Policy::Data& data, const HostRecord& record, Scheme scheme, std::uint16_t port) {
  if (!base::is_web_port(port)) {
    return record.names_ports &&
           (is_rule_for(data, record, Scheme::kHttp, port) || is_rule_for(data, record, Scheme::kHttps, port));
  }
  if (port != (scheme == Scheme::kHttp ? base::kHttpPort : base::kHttpsPort)) return false;
  return !record.names_ports || record.open ||
         std::ranges::any_of(data.rules_of(record), [](const Rule& rule) { return is_about_web_ports(rule.terms); });
}

std::vector<std::uint16_t> turning_ports(const Policy::Data& data, const HostRecord& record) {
  std::vector<std::uint16_t> ports{base::kHttpsPort};
  for (const Rule& rule : data.rules_of(record)) {
    for (const base::PortRange& range : rule.terms.ports) {
      ports.push_back(range.first);
      if (range.last != 0xffff) ports.push_back(static_cast<std::uint16_t>(range.last + 1));
    }
  }
  std::ranges::sort(ports);
  ports.erase(std::ranges::unique(ports).begin(), ports.end());
  return ports;
}

}  // namespace soleroute::policy
