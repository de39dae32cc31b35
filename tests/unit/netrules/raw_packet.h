// Whole IP packets, built byte by byte, for tests that must send what no socket would.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::netrules::testing {

enum class TcpFlags : std::uint8_t { kSyn = 0x02, kRst = 0x04, kAck = 0x10, kSynAck = 0x12 };

struct RawPacket {
  base::IpAddress source, destination;  // of one family
  std::uint8_t protocol = 6;
  std::uint16_t source_port = 0, destination_port = 0;  // TCP, UDP
  TcpFlags flags = TcpFlags::kSyn;
  std::uint8_t icmp_type = 0;       // ICMP, ICMPv6
  bool has_ip_options = false;      // IPv4: a record-route option
  bool has_routing_header = false;  // IPv6: type 0, no segments left
  std::uint8_t hop_limit = 64;
  // Header checksums and transport checksums are right.
  [[nodiscard]] std::vector<std::uint8_t> bytes() const;
};

}  // namespace soleroute::netrules::testing
