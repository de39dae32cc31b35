// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/denials.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "policy/host_pattern.h"
#include "policy/policy_data.h"

namespace soleroute::policy {
namespace {

// "everything", "udp port 53", "https only, DELETE, any path, on port 8443"
std::string meaning_of_denial(const DenyRecord& record) {
  std::string out = record.rule ? describe(record.rule->terms) : "";
  if (record.transport) out = *record.transport == Transport::kUdp ? "udp" : "tcp";
  if (!record.ports.empty()) {
    const bool one = record.ports.size() == 1 && record.ports.front().is_single();
    out += fmt::format("{}{} {}",
                       record.rule   ? ", on "
                       : out.empty() ? ""
                                     : " ",
                       one ? "port" : "ports", base::to_string(record.ports));
  }
  return out.empty() ? "everything" : out;
}

bool covers_any_of(const DenyRecord& denied, const EndpointRecord& endpoint) {
  if (denied.by_address || endpoint.by_address) return false;
  if (covers(denied.pattern, suffix_of(endpoint.name))) return true;
  return is_wildcard(endpoint.name) && covers(endpoint.name, suffix_of(denied.pattern));
}

bool has_common_port(const DenyRecord& denied, const EndpointRecord& endpoint) {
  return denied.ports.empty() || std::ranges::any_of(endpoint.ports, [&](const base::PortRange& range) {
           return std::ranges::any_of(denied.ports, [&](const base::PortRange& other) {
             return range.first <= other.last && other.first <= range.last;
           });
         });
}

bool has_inspected_denials(const Policy& policy, const HostRecord& record) {
  return std::ranges::any_of(policy.data().denies.records(), [&](const DenyRecord& denied) {
    const bool inside = denied.rule && denied.rule->terms.https && denied.rule->terms.constrains_request();
    return inside && !denied.by_address && covers(denied.pattern, suffix_of(record.pattern));
  });
}

}  // namespace

std::string denials_text(const Policy& policy, bool with_places) {
  std::string out;
  for (const auto& record : policy.data().denies.records()) {
    const std::string below = is_wildcard(record.pattern) && record.pattern != kEveryHost ? " and its subdomains" : "";
    const auto name = record.pattern == kEveryHost ? std::string_view("every host") : suffix_of(record.pattern);
    out += fmt::format("deny {}{}: {}", record.by_address ? record.pattern : name, record.by_address ? "" : below,
                       meaning_of_denial(record));
    if (with_places) out += fmt::format("  ({})", base::shown(place_of(policy.data().line(record.origin))));
    out += '\n';
  }
  return out;
}

std::vector<std::string> denial_warnings(const Policy& policy) {
  const auto& data = policy.data();
  std::vector<std::string> out;
  const auto warn = [&](const Origin& origin, std::string_view what) {
    out.push_back(fmt::format("{}: {}", base::shown(place_of(data.line(origin))), what));
  };
  if (data.denies.empty()) return out;
  for (const auto& record : data.records) {
    if (data.alpn_of(record).empty() || !has_inspected_denials(policy, record)) continue;
    warn(record.origin,
         fmt::format("{}: 'alpn' has no effect, because rules of 'deny' look inside its https", record.pattern));
  }
  for (const auto& endpoint : data.endpoints) {
    for (const auto& denied : data.denies.records()) {
      const bool whole = denied.rule && covers_any_of(denied, endpoint) && has_common_port(denied, endpoint);
      if (!whole) continue;
      warn(endpoint.origin,
           fmt::format("{}: denied, because what passes here is not read, and {} denies some requests. To deny them on "
                       "the web's ports alone, write 'ports: [80, 443]' there",
                       endpoint.name, base::shown(place_of(data.line(denied.origin)))));
      break;
    }
  }
  return out;
}

}  // namespace soleroute::policy
