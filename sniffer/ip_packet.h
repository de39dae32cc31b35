// The headers of one IP packet as NFQUEUE hands it over: who sends what to whom, both families.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "base/byte_reader.h"
#include "base/ip_address.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

struct IpPacket {
  base::IpAddress source;
  base::IpAddress destination;
  std::uint8_t protocol = 0;                 // IANA number after extension headers
  bool fragment = false;                     // not the first fragment: no ports
  std::optional<std::uint16_t> source_port;  // TCP, UDP, SCTP, DCCP
  std::optional<std::uint16_t> destination_port;
  std::optional<std::uint8_t> icmp_type;
  base::Bytes payload;  // after the transport header, as far as copied; borrows
};

// RFC 791, RFC 8200; lengths that lie, unknown versions: malformed.
[[nodiscard]] Parsed<IpPacket> parse_ip_packet(base::Bytes packet);

}  // namespace soleroute::sniffer
