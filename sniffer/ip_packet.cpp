// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/ip_packet.h"

#include <algorithm>
#include <array>
#include <expected>
#include <variant>

namespace soleroute::sniffer {
namespace {

using base::ByteReader;
using base::Bytes;
using PacketStop = std::variant<NeedMore, Malformed>;
template <class T>
using Step = std::expected<T, PacketStop>;

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kDccp = 33;
constexpr std::uint8_t kIcmpV6 = 58;
constexpr std::uint8_t kSctp = 132;

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr int kMaxExtensionHeaders = 8;

std::unexpected<PacketStop> bad_packet(std::string_view reason) {
  return std::unexpected(PacketStop(Malformed{reason}));
}
std::unexpected<PacketStop> cut(std::size_t at_least) {
  return std::unexpected(PacketStop(NeedMore{at_least}));
}

// A packet being read: `bytes` is what was copied of it, `total` what it says it is.
struct Cursor {
  Bytes bytes;
  std::size_t total = 0;
  std::size_t position = 0;

  // Malformed if the packet itself ends before, NeedMore if only the copy does.
  [[nodiscard]] Step<Bytes> look(std::size_t count) const {
    if (position + count > total) return bad_packet("a header longer than its packet");
    if (position + count > bytes.size()) return cut(position + count);
    return bytes.subspan(position, count);
  }
  [[nodiscard]] Bytes rest() const { return bytes.subspan(std::min(position, bytes.size())); }
};

template <std::size_t kSize>
std::array<std::uint8_t, kSize> copied(Bytes from) {
  std::array<std::uint8_t, kSize> out{};
  std::ranges::transform(from.first(kSize), out.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return out;
}

std::uint8_t byte_at(Bytes bytes, std::size_t index) {
  return std::to_integer<std::uint8_t>(bytes[index]);
}

std::uint16_t u16_at(Bytes bytes, std::size_t index) {
  return static_cast<std::uint16_t>(byte_at(bytes, index) << 8U | byte_at(bytes, index + 1));
}

// How long the transport header is at least, and where its ports are; 0: not read.
struct TransportShape {
  std::size_t header = 0;
  bool ports = false;
};

TransportShape shape_of(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return {20, true};
    case kUdp:
      return {8, true};
    case kSctp:
      return {12, true};  // RFC 9260 section 3.1
    case kDccp:
      return {12, true};  // RFC 4340 section 5.1
    case kIcmp:
    case kIcmpV6:
      return {8, false};  // type, code, checksum and four bytes of every message
    default:
      return {};
  }
}

// The whole header's length in bytes, from its data offset where it has one.
std::size_t header_length(std::uint8_t protocol, Bytes header) {
  if (protocol == kTcp) return static_cast<std::size_t>(byte_at(header, 12) >> 4U) * 4;
  if (protocol == kDccp) return static_cast<std::size_t>(byte_at(header, 4)) * 4;
  return header.size();
}

Step<IpPacket> read_transport(Cursor cursor, IpPacket packet) {
  const TransportShape shape = shape_of(packet.protocol);
  if (packet.fragment || shape.header == 0) {
    packet.payload = cursor.rest();
    return packet;
  }
  SR_LET(header, cursor.look(shape.header));
  if (shape.ports) {
    packet.source_port = u16_at(*header, 0);
    packet.destination_port = u16_at(*header, 2);
  } else {
    packet.icmp_type = byte_at(*header, 0);
  }
  const std::size_t length = header_length(packet.protocol, *header);
  if (length < shape.header || cursor.position + length > cursor.total)
    return bad_packet("a wrong transport header length");
  if (packet.protocol == kUdp && u16_at(*header, 4) < shape.header) return bad_packet("a wrong UDP length");
  cursor.position += length;
  packet.payload = cursor.rest();
  return packet;
}

Step<IpPacket> read_v4(Bytes copy) {  // RFC 791 section 3.1
  if (copy.size() < kIpv4Header) return cut(kIpv4Header);
  const auto header_bytes = static_cast<std::size_t>(byte_at(copy, 0) & 0xfU) * 4;
  const std::size_t total = u16_at(copy, 2);
  if (header_bytes < kIpv4Header || total < header_bytes) return bad_packet("a wrong IPv4 header or total length");
  IpPacket packet;
  packet.protocol = byte_at(copy, 9);
  packet.source = base::IpAddress::v4(copied<4>(copy.subspan(12)));
  packet.destination = base::IpAddress::v4(copied<4>(copy.subspan(16)));
  packet.fragment = (u16_at(copy, 6) & 0x1fffU) != 0;
  const Cursor cursor{copy.first(std::min(copy.size(), total)), total, header_bytes};
  if (header_bytes > cursor.bytes.size()) return cut(header_bytes);
  return read_transport(cursor, std::move(packet));
}

enum class Extension { kNone, kCounted, kFragment, kAuthentication };

Extension extension_of(std::uint8_t next) {  // the IANA list of IPv6 extension header types
  switch (next) {
    case 0:    // hop-by-hop options
    case 43:   // routing
    case 60:   // destination options
    case 135:  // mobility
    case 139:  // host identity protocol
    case 140:  // shim6
      return Extension::kCounted;
    case 44:
      return Extension::kFragment;
    case 51:
      return Extension::kAuthentication;
    default:
      return Extension::kNone;
  }
}

// Steps over one extension header.
Step<void> skip_extension(Cursor& cursor, IpPacket& packet) {
  const Extension kind = extension_of(packet.protocol);
  SR_LET(start, cursor.look(8));
  const std::size_t count = byte_at(*start, 1);
  if (kind == Extension::kFragment) packet.fragment = (u16_at(*start, 2) & 0xfff8U) != 0;
  std::size_t length = 8;
  if (kind == Extension::kCounted) length = (count + 1) * 8;         // RFC 8200 section 4.3
  if (kind == Extension::kAuthentication) length = (count + 2) * 4;  // RFC 4302 section 2.2
  if (cursor.position + length > cursor.total) return bad_packet("an extension header longer than its packet");
  packet.protocol = byte_at(*start, 0);
  cursor.position += length;
  return {};
}

Step<IpPacket> read_v6(Bytes copy) {  // RFC 8200 section 3
  if (copy.size() < kIpv6Header) return cut(kIpv6Header);
  IpPacket packet;
  packet.protocol = byte_at(copy, 6);
  packet.source = base::IpAddress::v6(copied<16>(copy.subspan(8)));
  packet.destination = base::IpAddress::v6(copied<16>(copy.subspan(24)));
  const std::size_t total = kIpv6Header + u16_at(copy, 4);
  Cursor cursor{copy.first(std::min(copy.size(), total)), total, kIpv6Header};
  for (int i = 0; extension_of(packet.protocol) != Extension::kNone && !packet.fragment; ++i) {
    if (i == kMaxExtensionHeaders) return bad_packet("too many extension headers");
    SR_TRY(skip_extension(cursor, packet));
  }
  return read_transport(cursor, std::move(packet));
}

}  // namespace

Parsed<IpPacket> parse_ip_packet(Bytes packet) {
  if (packet.empty()) return NeedMore{1};
  const unsigned version = byte_at(packet, 0) >> 4U;
  if (version != 4 && version != 6) return Malformed{"an unknown IP version"};
  auto read = version == 4 ? read_v4(packet) : read_v6(packet);
  if (read) return std::move(*read);
  return std::visit([](const auto& stop) { return Parsed<IpPacket>(stop); }, read.error());
}

}  // namespace soleroute::sniffer
