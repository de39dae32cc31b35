// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/queue/packet_record.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/web_ports.h"
#include "gateway/audit/decision_record.h"
#include "sniffer/ip_packet.h"
#include "sniffer/quic_initial.h"

namespace soleroute::gateway::queue {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmpV6 = 58;

policy::Transport transport_of(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return policy::Transport::kTcp;
    case kUdp:
      return policy::Transport::kUdp;
    case kIcmp:
    case kIcmpV6:
      return policy::Transport::kIcmp;
    default:
      return policy::Transport::kOther;
  }
}

std::string protocol_text(const sniffer::IpPacket& packet) {
  switch (packet.protocol) {
    case kTcp:
      return "tcp";
    case kUdp:
      return "udp";
    case kIcmp:
      return fmt::format("icmp type {}", packet.icmp_type.value_or(0));
    case kIcmpV6:
      return fmt::format("icmpv6 type {}", packet.icmp_type.value_or(0));
    default:
      return fmt::format("ip protocol {}", packet.protocol);
  }
}

std::string destination_text(const sniffer::IpPacket& packet) {
  if (!packet.destination_port) return packet.destination.to_string();
  return base::Endpoint{packet.destination, *packet.destination_port}.to_string();
}

// "1" and so on when this is the beginning of a QUIC connection on a port of the web.
std::optional<std::string> quic_version(const sniffer::IpPacket& packet) {
  const auto port = packet.destination_port.value_or(0);
  if (packet.protocol != kUdp || !base::is_web_port(port)) return std::nullopt;
  const auto initial = sniffer::parse_quic_initial(packet.payload);
  if (!initial.complete()) return std::nullopt;
  return sniffer::quic_version_text(initial.value().version);
}

policy::Decision decide_packet(const sniffer::IpPacket& packet, const policy::Policy& policy,
                               std::span<const base::HostName> resolved) {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kPacket;
  facts.transport = transport_of(packet.protocol);
  facts.client = packet.source;
  facts.port = packet.destination_port.value_or(0);
  facts.original_destination = base::Endpoint{packet.destination, facts.port};
  facts.resolved_names = resolved;
  return policy.decide(facts);
}

// To the address of a denied name: the name was meant, and with it this port. Allowed by now it may be, and not
// carried.
policy::Decision decide_denied(const sniffer::IpPacket& packet, const policy::Policy& policy,
                               const std::optional<base::HostName>& name) {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kConnect;
  facts.transport = transport_of(packet.protocol);
  facts.client = packet.source;
  facts.host = name;
  facts.port = packet.destination_port.value_or(0);
  auto decision = name ? policy.decide(facts) : policy::Decision{};
  if (decision.allowed() && decision.reason == policy::Reason::kEndpointAllowed) return decision;
  return {.action = policy::Action::kDeny, .reason = policy::Reason::kEndpointNotAllowed};
}

// A name that the policy does not know at all says more than the port does.
policy::Decision decide_name(const sniffer::IpPacket& packet, const policy::Policy& policy,
                             const base::HostName& name) {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kDns;
  facts.client = packet.source;
  facts.host = name;
  return policy.decide(facts);
}

// Whatever was decided, the packet is refused.
void take(audit::DecisionRecord& record, const policy::Decision& decision) {
  audit::set_decision(record, decision);
  record.allowed = false;
}

}  // namespace

audit::DecisionRecord record_of_packet(base::Bytes bytes, const policy::Policy& policy,
                                       const dns::ReverseNames& names) {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kPacket;
  record.allowed = false;
  const auto parsed = sniffer::parse_ip_packet(bytes);
  if (!parsed.complete()) {
    record.reason = policy::to_string(policy::Reason::kMalformed);
    record.detail = parsed.malformed() ? parsed.fault().reason : "headers too long to parse";
    return record;
  }
  const sniffer::IpPacket& packet = parsed.value();
  record.client = packet.source;
  record.destination = destination_text(packet);
  record.port = packet.destination_port.value_or(0);
  record.detail = protocol_text(packet);

  const auto resolved = names.names_of(packet.destination);
  const bool denied = names.is_denied(packet.destination);
  const auto name = names.looked_up_as(packet.source, packet.destination);
  const auto decision = denied ? decide_denied(packet, policy, name) : decide_packet(packet, policy, resolved);
  take(record, decision);
  if (denied || names.is_own(packet.destination)) record.detail += fmt::format(", {}", audit::kOwnAddress);
  if (decision.allowed()) record.detail += ", allowed by the policy, but the rules do not redirect it";
  if (const auto version = quic_version(packet)) {
    record.reason = policy::to_string(policy::Reason::kQuicRefused);
    record.detail += ", quic version " + *version;
  }
  if (!name) return record;
  record.host = name->text();
  if (denied || decision.reason != policy::Reason::kEndpointNotAllowed) return record;
  const auto by_name = decide_name(packet, policy, *name);
  if (!by_name.allowed() && record.reason == policy::to_string(decision.reason)) take(record, by_name);
  return record;
}

}  // namespace soleroute::gateway::queue
