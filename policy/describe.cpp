// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/web_ports.h"
#include "policy/address_class.h"
#include "policy/denials.h"
#include "policy/dns_over_https.h"
#include "policy/host_pattern.h"
#include "policy/host_service.h"
#include "policy/optional_hosts.h"
#include "policy/policy.h"
#include "policy/policy_data.h"
#include "policy/special_names.h"

namespace soleroute::policy {
namespace {

std::string meaning_of_pattern(std::string_view pattern) {
  if (pattern == kEveryHost) return "every public host";
  if (!is_wildcard(pattern)) return "this host only";
  return fmt::format("{} and its subdomains", suffix_of(pattern));
}

std::string_view meaning_of_https(const HostRecord& record) {
  if (record.https != HttpsVerdict::kInspect) return "";
  return "; https is inspected";
}

std::string addresses_text(std::span<const base::Cidr> addresses) {
  if (addresses.empty()) return {};
  std::vector<std::string> texts;
  for (const auto& range : addresses) texts.push_back(range.to_string());
  return fmt::format("; may resolve to the private {}", fmt::join(texts, " "));
}

std::string alpn_text(std::span<const std::string> alpn) {
  if (alpn.empty()) return {};
  std::vector<std::string> shown;
  for (const auto& protocol : alpn) shown.push_back(base::shown(protocol));
  return fmt::format("; TLS for {} too", fmt::join(shown, " "));
}

std::string_view transport_name(Transport transport) {
  return transport == Transport::kUdp ? "udp" : "tcp";
}

bool is_agents_loopback(const EndpointRecord& endpoint) {
  if (endpoint.by_address) return address_class(endpoint.cidr.address()) == "loopback";
  return endpoint.name == "localhost" || endpoint.name.ends_with(".localhost");
}

bool has_container_engine(const EndpointRecord& endpoint) {
  constexpr std::array<std::uint16_t, 2> kDockerPorts{2375, 2376};
  return std::ranges::any_of(kDockerPorts, [&](std::uint16_t port) { return base::contains(endpoint.ports, port); });
}

// Those of the agents too, each once: what is inherited is not said again.
void add_warnings_of_agents(const Policy& policy, std::vector<std::string>& out) {
  for (const auto& agent : policy.agents()) {
    for (auto& warning : agent.policy->warnings()) {
      if (std::ranges::find(out, warning) == out.end()) out.push_back(std::move(warning));
    }
  }
}

}  // namespace

std::vector<std::string> Policy::host_patterns() const {
  std::vector<std::string> patterns;
  for (const auto& record : data_->records) patterns.emplace_back(record.pattern);
  return patterns;
}

std::string Policy::describe() const {
  return describe_itself() + describe_agents();
}

std::string Policy::describe_itself() const {
  const Data& data = *data_;
  if (denies_everything()) {
    return agents_ ? "" : "The policy is empty: all network access is blocked.\n";
  }
  std::size_t width = 0;
  for (const auto& record : data.records) width = std::max(width, record.pattern.size());
  width = std::min<std::size_t>(width, 40);
  std::string out;
  for (const auto& record : data.records) {
    const std::string what = std::string(record.open ? ", http and https" : "") + (record.txt ? ", DNS TXT" : "");
    out += fmt::format("{:<{}}  {}{}{}{}{}  ({})\n", record.pattern, width, meaning_of_pattern(record.pattern), what,
                       meaning_of_https(record), alpn_text(data.alpn_of(record)),
                       addresses_text(data.own_addresses_of(record)), base::shown(place_of(data.line(record.origin))));
    for (const auto& rule : data.rules_of(record)) {
      out += fmt::format("{:<{}}    {}  ({})\n", "", width, soleroute::policy::describe(rule.terms),
                         base::shown(place_of(data.line(rule.origin))));
    }
  }
  for (const auto& endpoint : data.endpoints) {
    out += fmt::format("{:<{}}  {} port {}{}  ({})\n", endpoint.name, width, transport_name(endpoint.transport),
                       base::to_string(endpoint.ports),
                       endpoint.by_address ? std::string{} : addresses_text(endpoint.addresses),
                       base::shown(place_of(data.line(endpoint.origin))));
  }
  for (const auto& [name, host] : data.hosts) {
    std::vector<std::string> texts;
    for (const auto& address : host.addresses) texts.push_back(address.to_string());
    out +=
        fmt::format("hosts {}: {}  ({})\n", name, fmt::join(texts, " "), base::shown(place_of(data.line(host.origin))));
  }
  for (const auto& listed : data.listed) {
    out += fmt::format("addresses {}: any listed name may resolve to it{}  ({})\n", listed.range.to_string(),
                       is_placeholder(listed.range) ? " (placeholder addresses)" : "",
                       base::shown(place_of(data.line(listed.origin))));
  }
  out += denials_text(*this, true);
  out += unused_groups_text(*this);
  if (data.ech == EchMode::kDeny)
    out += "ech deny: TLS with Encrypted Client Hello is blocked unless it is inspected.\n";
  if (data.denied_names == DeniedNames::kNxdomain) {
    out += "denied_names nxdomain: DNS says that a denied name does not exist.\n";
  }
  if (data.mode == Mode::kObserve) out += "Observe mode: nothing public is blocked; would-be denials are logged.\n";
  return out;
}

std::string Policy::describe_agents() const {
  std::string out;
  if (!agents_) return out;
  for (const auto& agent : agents()) {
    std::vector<std::string> addresses;
    for (const auto& range : agent.addresses) {
      const bool whole = range.prefix_length() == range.address().bits();
      addresses.push_back(whole ? range.address().to_string() : range.to_string());
    }
    out += fmt::format("agent {}, at {}:  ({})\n{}", agent.name, fmt::join(addresses, " "),
                       base::shown(place_of(agent.line)), base::indented(agent.policy->describe(), "  "));
  }
  if (agents_->only) return out + "agents_only: every other client is blocked.\n";
  const auto lacks = [&](std::string_view family) {
    out += fmt::format("{}: a client that is not an agent is blocked, because an agent lists no {} address.\n", family,
                       family);
  };
  if (!agents_->strangers_v4) lacks("IPv4");
  if (!agents_->strangers_v6) lacks("IPv6");
  return out;
}

std::vector<std::string> Policy::warnings() const {
  constexpr std::uint16_t kDnsPort = 53;
  std::vector<std::string> out;
  const auto warn = [&](const Origin& origin, std::string_view what) {
    out.push_back(fmt::format("{}: {}", base::shown(place_of(data_->line(origin))), what));
  };
  const auto warn_if_special = [&](std::string_view pattern, const Origin& origin) {
    const auto name = base::HostName::parse(suffix_of(pattern));
    if (!name || !is_never_forwarded(special_name(*name))) return;
    warn(origin, fmt::format("{} has no effect: {}", pattern, never_forwarded_sentence(*name)));
  };
  for (const auto& record : data_->records) {
    if (record.narrowed) {
      warn(record.origin, fmt::format("{} is allowed without limits: the rules of other entries for it have no effect",
                                      record.pattern));
    }
    const bool wildcard = !record.from_service && record.pattern.starts_with(kStar);
    if (wildcard && is_shared_suffix(record.pattern.substr(kStar.size()))) {
      warn(record.origin, fmt::format("{}: anyone can register names below it", record.pattern));
    }
    const auto resolvers = dns_over_https_names();
    const auto resolver =
        record.pattern == kEveryHost
            ? resolvers.end()
            : std::ranges::find_if(resolvers, [&](std::string_view name) { return covers(record.pattern, name); });
    if (resolver != resolvers.end()) {
      warn(record.origin,
           fmt::format("{} is a DNS-over-HTTPS resolver: it lets the agent look up any name{}", *resolver,
                       record.pattern == *resolver ? "" : fmt::format(" ({} covers it)", record.pattern)));
    }
    warn_if_special(record.pattern, record.origin);
    if (record.sets_headers && record.pattern.starts_with(kStar)) {
      warn(record.origin, fmt::format("{}: all of its subdomains are sent a secret", record.pattern));
    }
  }
  for (auto& warning : denial_warnings(*this)) out.push_back(std::move(warning));
  for (const auto& [text, host] : data_->hosts) {
    const auto name = base::HostName::parse(text);
    const auto decision = decide_itself({.phase = Phase::kDns, .host = name ? std::optional(*name) : std::nullopt});
    if (!decision.allowed()) {
      warn(host.origin, fmt::format("hosts {}: no entry of domains, endpoints or services allows this name", text));
      continue;
    }
    for (const auto& address : host.addresses) {
      if (may_dial(address, decision.permitted_addresses) || may_dial_static(address, host.addresses)) continue;
      warn(host.origin, fmt::format("hosts {}: {} is a loopback, link-local or metadata address, which is blocked "
                                    "unless 'addresses:' lists it",
                                    text, address.to_string()));
    }
  }
  for (const auto& listed : data_->listed) {
    const auto& range = listed.range;
    if (covers_never_suggested(range)) {
      warn(listed.origin, fmt::format("addresses {}: any listed name may resolve to loopback, link-local or metadata "
                                      "addresses of the gateway",
                                      range.to_string()));
    }
  }
  for (const auto& endpoint : data_->endpoints) {
    if (!endpoint.by_address) warn_if_special(endpoint.name, endpoint.origin);
    if (endpoint.by_address && endpoint.cidr.prefix_length() == 0) {
      warn(endpoint.origin, fmt::format("{}: all traffic to every address on this port is allowed", endpoint.name));
    }
    if (is_agents_loopback(endpoint)) {
      warn(endpoint.origin,
           fmt::format("{}: inside, this is the agent's own loopback, which no policy is asked about. For a service of "
                       "this machine: endpoints: [{{host: {}, port: {}}}]",
                       endpoint.name, kHostServiceName, endpoint.ports.front().first));
    }
    if (is_host_service_name(endpoint.name) && has_container_engine(endpoint)) {
      warn(endpoint.origin, fmt::format("{}: a container engine's API gives the whole machine away", endpoint.name));
    }
    if (!endpoint.by_address && endpoint.name.starts_with(kStar) &&
        is_shared_suffix(std::string_view(endpoint.name).substr(kStar.size()))) {
      warn(endpoint.origin, fmt::format("{}: anyone can register names below it", endpoint.name));
    }
    const bool web = endpoint.transport == Transport::kTcp && (base::contains(endpoint.ports, base::kHttpPort) ||
                                                               base::contains(endpoint.ports, base::kHttpsPort));
    if (!endpoint.by_address && web) {
      warn(endpoint.origin,
           fmt::format("{}: on ports 80 and 443 of this host, what is neither HTTP nor TLS passes unread; an address "
                       "that it shares with other names (a CDN) leads to them too",
                       endpoint.name));
    }
    if (base::contains(endpoint.ports, kDnsPort)) {
      warn(endpoint.origin,
           fmt::format("{} port 53: DNS is always answered by the gateway, so this has no effect", endpoint.name));
    } else if (endpoint.transport == Transport::kUdp && base::contains(endpoint.ports, base::kHttpsPort)) {
      warn(endpoint.origin, fmt::format("{} udp port 443: QUIC passes unread, to whatever name", endpoint.name));
    }
  }
  if (data_->mode == Mode::kObserve)
    out.emplace_back("mode is observe: nothing public is blocked; would-be denials are logged");
  add_warnings_of_agents(*this, out);
  return out;
}

}  // namespace soleroute::policy
