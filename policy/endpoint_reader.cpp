// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/endpoint_reader.h"

#include <array>
#include <optional>
#include <utility>

#include "base/web_ports.h"
#include "policy/host_pattern.h"
#include "policy/port_reader.h"

namespace soleroute::policy {

using base::Status;

Status EndpointReader::host(const YamlNode& node, EndpointEntry& entry) const {
  std::optional<HostPattern> pattern;
  SR_TRY(values_.host(node, pattern, Wildcards::kOfSitesAndEveryHost));
  entry.host = std::move(*pattern);
  return {};
}

Status EndpointReader::is_whole(const YamlNode& node, EndpointEntry& entry) const {
  const bool by_address = ValueReader::key(node, "cidr") != nullptr;
  if (entry.host.has_value() == by_address) return yaml_.error(node, "an endpoint needs either 'host' or 'cidr'");
  if ((ValueReader::key(node, "port") == nullptr) == (ValueReader::key(node, "ports") == nullptr)) {
    return yaml_.error(node, "an endpoint needs either 'port' or 'ports'");
  }
  if (by_address && ValueReader::key(node, "txt") != nullptr) {
    return yaml_.error(node, "use 'txt' with 'host', not with 'cidr'");
  }
  if (by_address && !entry.addresses.empty()) return yaml_.error(node, "use 'addresses' with 'host', not with 'cidr'");
  if (entry.host && entry.host->every && !entry.addresses.empty()) return yaml_.error(node, kNotForEveryHost);
  const bool listed = base::contains(entry.ports, base::kHttpPort) || base::contains(entry.ports, base::kHttpsPort);
  const bool web = entry.transport == Transport::kTcp && listed;
  if (!entry.host || !web) return {};
  if (ValueReader::key(node, "protocol") == nullptr) {
    return yaml_.error(node,
                       "ports 80 and 443 of a host are decided by 'domains:'; list the host there, or, for what is "
                       "neither HTTP nor TLS (SSH), write 'protocol: tcp'");
  }
  return {};
}

Status EndpointReader::endpoint(const YamlNode& node, std::vector<EndpointEntry>& out) const {
  EndpointEntry entry;
  entry.position = node.position;
  const auto protocol = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "protocol", {"tcp", "udp"}));
    entry.transport = *chosen == "tcp" ? Transport::kTcp : Transport::kUdp;
    return {};
  };
  const std::array<YamlReader::Key, 7> known{{
      {"host", [&](const YamlNode& value) { return host(value, entry); }},
      {"cidr", [&](const YamlNode& value) { return values_.cidr(value, "cidr", entry.cidr); }},
      {"port", [&](const YamlNode& value) { return read_port(yaml_, value, entry.ports); }},
      {"ports", [&](const YamlNode& value) { return read_ports(yaml_, value, entry.ports); }},
      {"protocol", protocol},
      {"addresses", [&](const YamlNode& value) { return values_.addresses(value, entry.addresses); }},
      {"txt", [&](const YamlNode& value) { return values_.flag(value, "txt", entry.txt); }},
  }};
  SR_TRY(yaml_.keys(node, "an item of endpoints", known));
  SR_TRY(is_whole(node, entry));
  out.push_back(std::move(entry));
  return {};
}

Status EndpointReader::endpoints(const YamlNode& node, std::vector<EndpointEntry>& out) const {
  return yaml_.each(node, "endpoints", true, [&](const YamlNode& item) { return endpoint(item, out); });
}

}  // namespace soleroute::policy
