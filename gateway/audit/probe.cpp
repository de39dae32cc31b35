// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/probe.h"

#include <optional>

#include "base/web_ports.h"

namespace soleroute::gateway::audit {
namespace {

constexpr std::uint16_t kDnsOverTls = 853;

// "dns type A", alone or before what the log remarks on it. Not AAAA, and not TXT, whose answer could carry data.
bool asks_for_an_address(std::string_view detail) {
  constexpr std::string_view kTypeA = "dns type A";
  if (!detail.starts_with(kTypeA)) return false;
  const auto rest = detail.substr(kTypeA.size());
  return rest.empty() || rest.starts_with(',') || rest.starts_with(';');
}

bool is_probe_request(const DecisionRecord& record) {
  if (record.method != "GET" || record.path != kProbePath) return false;
  if (record.host == kProbeName) return true;
  const auto destination = base::Endpoint::parse(record.destination);
  return record.host == metadata_v4().to_string() && record.port == base::kHttpPort &&
         (!destination || *destination == base::Endpoint{metadata_v4(), base::kHttpPort});
}

// The log puts the transport in front of what it remarks on a packet.
bool is_probe_packet(const DecisionRecord& record) {
  if (!record.host.empty()) return false;
  const auto destination = base::Endpoint::parse(record.destination);
  if (!destination) return false;
  const auto& [address, port] = *destination;
  const bool udp = record.phase == policy::Phase::kPacket && record.detail.starts_with("udp");
  if (address == probe_v6()) return port == kProbePort;
  if (address != probe_v4()) return false;
  return port == kProbePort || (port == kDnsOverTls && !udp) || (port == base::kHttpsPort && udp);
}

}  // namespace

base::IpAddress probe_v4() {
  return base::IpAddress::v4({192, 0, 2, 1});
}
base::IpAddress probe_v6() {
  return base::IpAddress::v6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}
base::IpAddress metadata_v4() {
  return base::IpAddress::v4({169, 254, 169, 254});
}

bool is_probe(const DecisionRecord& record) {
  if (record.allowed || record.observed) return false;
  switch (record.phase) {
    case policy::Phase::kDns:
      return record.host == kProbeName && asks_for_an_address(record.detail);
    case policy::Phase::kTls:
      return record.host == kProbeName && record.port == base::kHttpsPort;
    case policy::Phase::kHttp:
      return is_probe_request(record);
    case policy::Phase::kConnect:
      return record.method.empty() && is_probe_packet(record);
    case policy::Phase::kPacket:
      return is_probe_packet(record);
  }
  return false;
}

void count_decision(Counters& counters, const DecisionRecord& record) {
  if (record.allowed) {
    ++counters.decisions_allowed;
  } else if (is_probe(record)) {
    ++counters.probes_denied;
  } else {
    ++counters.decisions_denied;
  }
}

}  // namespace soleroute::gateway::audit
