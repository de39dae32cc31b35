// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/effective.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "policy/denials.h"
#include "policy/host_pattern.h"
#include "policy/optional_hosts.h"
#include "policy/policy_data.h"

namespace soleroute::policy {
namespace {

using Json = nlohmann::ordered_json;

Json texts_of(std::span<const base::Cidr> ranges) {
  Json out = Json::array();
  for (const auto& range : ranges) out.push_back(range.to_string());
  return out;
}

std::string ranges_text(const Policy::Data& data) {
  std::string out;
  for (const auto& listed : data.listed) out += (out.empty() ? "" : " ") + listed.range.to_string();
  return out;
}

Json json_of(const RuleTerms& terms) {
  if (to_yaml(terms).empty()) return {{"description", describe(terms)}};
  Json rule = {{"schemes", Json::array()}};
  if (terms.http) rule["schemes"].push_back("http");
  if (terms.https) rule["schemes"].push_back("https");
  if (!terms.methods.empty()) rule["methods"] = terms.methods;
  if (terms.path_match == PathMatch::kExact) rule["path"] = {{"exact", terms.path}};
  if (terms.path_match == PathMatch::kPrefix) rule["path"] = {{"prefix", terms.path}};
  if (!terms.query) return rule;
  Json parameters = Json::object();
  for (const auto& [name, value] : *terms.query) parameters[name].push_back(value);
  rule["query"] = {{"exact", std::move(parameters)}};
  return rule;
}

Json json_of(const base::PortRanges& ports) {
  Json out = Json::array();
  for (const auto& range : ports) out.push_back(range.is_single() ? Json(range.first) : Json(base::to_string(range)));
  return out;
}

Json head_of(const Policy::Data& data, const HostRecord& record) {
  Json host = {{"host", record.pattern}};
  if (const auto own = data.own_addresses_of(record); !own.empty()) host["addresses"] = texts_of(own);
  if (record.inspect_wanted) host["tls"] = "inspect";
  if (record.txt) host["txt"] = true;
  const auto alpn = data.alpn_of(record);
  if (!alpn.empty()) host["alpn"] = std::vector<std::string>(alpn.begin(), alpn.end());
  return host;
}

// An item for each list of ports that its rules have: `ports` are an item's.
void add_items(const Policy::Data& data, const HostRecord& record, Json& out) {
  std::vector<base::PortRanges> seen;
  if (record.open) {
    seen.emplace_back();
    out.push_back(head_of(data, record));
  }
  for (const auto& first : data.rules_of(record)) {
    const auto& ports = first.terms.ports;
    if (std::ranges::find(seen, ports) != seen.end()) continue;
    seen.push_back(ports);
    Json host = head_of(data, record);
    if (!ports.empty()) host["ports"] = json_of(ports);
    for (const auto& rule : data.rules_of(record)) {
      if (rule.terms.ports == ports) host["rules"].push_back(json_of(rule.terms));
    }
    out.push_back(std::move(host));
  }
}

Json json_of(const EndpointRecord& endpoint) {
  Json out;
  out[endpoint.by_address ? "cidr" : "host"] = endpoint.name;
  out["ports"] = json_of(endpoint.ports);
  out["protocol"] = endpoint.transport == Transport::kUdp ? "udp" : "tcp";
  if (!endpoint.by_address && !endpoint.addresses.empty()) out["addresses"] = texts_of(endpoint.addresses);
  if (endpoint.txt) out["txt"] = true;
  return out;
}

Json json_of(const DenyRecord& denied) {
  Json out;
  out[denied.by_address ? "cidr" : "host"] = denied.pattern;
  if (!denied.ports.empty()) out["ports"] = json_of(denied.ports);
  if (denied.transport) out["protocol"] = *denied.transport == Transport::kUdp ? "udp" : "tcp";
  if (denied.rule) out["rules"].push_back(json_of(denied.rule->terms));
  return out;
}

bool allows_every_host(const Policy::Data& data) {
  const auto is_every = [](const auto& entry) { return entry == kEveryHost; };
  return std::ranges::any_of(data.records, is_every, &HostRecord::pattern) ||
         std::ranges::any_of(data.endpoints, is_every, &EndpointRecord::name);
}

// Of names that are allowed: the others are none of an agent's business.
std::vector<std::pair<std::string, const std::vector<base::IpAddress>*>> allowed_hosts(const Policy& policy) {
  std::vector<std::pair<std::string, const std::vector<base::IpAddress>*>> out;
  for (const auto& [text, host] : policy.data().hosts) {
    FlowFacts facts;
    if (auto name = base::HostName::parse(text)) facts.host = std::move(*name);
    if (policy.decide_itself(facts).allowed()) out.emplace_back(text, &host.addresses);
  }
  return out;
}

std::string line_of(const Policy::Data& data, const HostRecord& record) {
  std::string out(record.pattern);
  if (record.pattern == kEveryHost) {
    out += " (every public host)";
  } else if (is_wildcard(record.pattern)) {
    out += fmt::format(" ({} and its subdomains)", suffix_of(record.pattern));
  }
  if (record.open) out += ": everything, http and https";
  out += '\n';
  for (const auto& rule : data.rules_of(record)) {
    if (record.open && rule.terms.ports.empty()) continue;
    RuleTerms asked = rule.terms;
    asked.transforms.clear();
    out += fmt::format("    {}{}\n", describe(asked),
                       rule.terms.sets_headers() ? "; the gateway adds credentials, so send none" : "");
  }
  return out;
}

}  // namespace

std::string effective_text(const Policy& policy) {
  const Policy::Data& data = policy.data();
  std::string out;
  if (!policy.agent_name().empty()) out = fmt::format("For the agent {}:\n", policy.agent_name());
  if (policy.denies_everything()) return out + "Nothing is allowed.\n";
  for (const auto& record : data.records) out += line_of(data, record);
  for (const auto& endpoint : data.endpoints) {
    out += fmt::format("{}: {} port {}\n", endpoint.name, endpoint.transport == Transport::kUdp ? "udp" : "tcp",
                       base::to_string(endpoint.ports));
  }
  for (const auto& [name, addresses] : allowed_hosts(policy)) {
    std::string texts;
    for (const auto& address : *addresses) texts += " " + address.to_string();
    out += fmt::format("{} has the address{}\n", name, texts);
  }
  if (!data.listed.empty()) out += "Private addresses that any of these names may have: " + ranges_text(data) + "\n";
  out += denials_text(policy, false);
  out += unused_groups_text(policy);
  if (data.ech == EchMode::kDeny)
    out += "ech deny: TLS with Encrypted Client Hello is blocked unless it is inspected.\n";
  if (data.denied_names == DeniedNames::kNxdomain) {
    out += "denied_names nxdomain: DNS says that a denied name does not exist.\n";
  }
  if (policy.mode() == Mode::kObserve) out += "Observe mode: nothing public is blocked; would-be denials are logged.\n";
  return out;
}

std::string effective_json(const Policy& policy) {
  const Policy::Data& data = policy.data();
  Json out = {{"mode", policy.mode() == Mode::kObserve ? "observe" : "enforce"},
              {"domains", Json::array()},
              {"endpoints", Json::array()}};
  for (const auto& [name, host] : allowed_hosts(policy)) {
    for (const auto& address : *host) out["hosts"][name].push_back(address.to_string());
  }
  for (const auto& listed : data.listed) out["addresses"].push_back(listed.range.to_string());
  if (data.ech == EchMode::kDeny) out["ech"] = "deny";
  if (data.denied_names == DeniedNames::kNxdomain) out["denied_names"] = "nxdomain";
  for (const auto& record : data.records) add_items(data, record, out["domains"]);
  for (const auto& endpoint : data.endpoints) out["endpoints"].push_back(json_of(endpoint));
  for (const auto& denied : data.denies.records()) out["deny"].push_back(json_of(denied));
  if (allows_every_host(data)) out["allow_all_public"] = true;
  return out.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

std::vector<std::string_view> host_patterns(const Policy& policy) {
  std::vector<std::string_view> out;
  for (const auto& record : policy.data().records) out.push_back(record.pattern);
  return out;
}

}  // namespace soleroute::policy
