// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/unit/netrules/raw_packet.h"

#include <cstddef>

namespace soleroute::netrules::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put16(Bytes& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value & 0xffff);
}
void append(Bytes& bytes, std::span<const std::uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

std::uint16_t checksum(const Bytes& bytes) {  // RFC 1071
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8) | (i + 1 < bytes.size() ? bytes[i + 1] : 0U);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void store16(Bytes& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

struct Transport {
  Bytes bytes;
  std::ptrdiff_t checksum_at = -1;  // none
  bool pseudo_header = true;
};

Transport transport(const RawPacket& packet) {
  Transport made;
  Bytes& bytes = made.bytes;
  if (packet.protocol == 6) {
    put16(bytes, packet.source_port);
    put16(bytes, packet.destination_port);
    put32(bytes, 1000);                                               // sequence number
    put32(bytes, packet.flags == TcpFlags::kSyn ? 0 : 2000);          // acknowledgement
    put16(bytes, 0x5000U | static_cast<std::uint8_t>(packet.flags));  // no options
    put16(bytes, 1024);
    put32(bytes, 0);
    made.checksum_at = 16;
  } else if (packet.protocol == 17) {
    put16(bytes, packet.source_port);
    put16(bytes, packet.destination_port);
    put16(bytes, 12);
    put16(bytes, 0);
    put32(bytes, 0x50524f42);
    made.checksum_at = 6;
  } else if (packet.protocol == 1 || packet.protocol == 58) {
    put16(bytes, static_cast<std::uint32_t>(packet.icmp_type << 8));
    put16(bytes, 0);
    put16(bytes, packet.source_port);  // identifier
    put16(bytes, 1);
    bytes.resize(32);  // enough for a neighbour message
    made.checksum_at = 2;
    made.pseudo_header = packet.protocol == 58;
  } else {
    bytes.resize(16, 0x11);
  }
  return made;
}

void fill_checksum(const RawPacket& packet, Transport& made) {
  if (made.checksum_at < 0) return;
  Bytes summed;
  if (made.pseudo_header) {
    append(summed, packet.source.bytes());
    append(summed, packet.destination.bytes());
    put32(summed, static_cast<std::uint32_t>(made.bytes.size()));
    put32(summed, packet.protocol);
  }
  append(summed, made.bytes);
  store16(made.bytes, static_cast<std::size_t>(made.checksum_at), checksum(summed));
}

Bytes ipv4(const RawPacket& packet, const Bytes& payload) {
  Bytes header;
  const Bytes options = packet.has_ip_options ? Bytes{7, 7, 4, 0, 0, 0, 0, 0} : Bytes{};  // record route, end of list
  header.push_back(static_cast<std::uint8_t>(0x45 + options.size() / 4));
  header.push_back(0);
  put16(header, static_cast<std::uint32_t>(20 + options.size() + payload.size()));
  put32(header, 0);
  header.push_back(packet.hop_limit);
  header.push_back(packet.protocol);
  put16(header, 0);
  append(header, packet.source.bytes());
  append(header, packet.destination.bytes());
  append(header, options);
  store16(header, 10, checksum(header));
  append(header, payload);
  return header;
}

Bytes ipv6(const RawPacket& packet, const Bytes& payload) {
  Bytes header;
  const Bytes routing = packet.has_routing_header ? Bytes{packet.protocol, 0, 0, 0, 0, 0, 0, 0} : Bytes{};
  put32(header, 6U << 28);
  put16(header, static_cast<std::uint32_t>(routing.size() + payload.size()));
  header.push_back(packet.has_routing_header ? 43 : packet.protocol);
  header.push_back(packet.hop_limit);
  append(header, packet.source.bytes());
  append(header, packet.destination.bytes());
  append(header, routing);
  append(header, payload);
  return header;
}

}  // namespace

std::vector<std::uint8_t> RawPacket::bytes() const {
  Transport made = transport(*this);
  fill_checksum(*this, made);
  return source.is_v4() ? ipv4(*this, made.bytes) : ipv6(*this, made.bytes);
}

}  // namespace soleroute::netrules::testing
