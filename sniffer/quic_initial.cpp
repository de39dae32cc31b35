// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/quic_initial.h"

#include <array>
#include <charconv>
#include <optional>

namespace soleroute::sniffer {
namespace {

constexpr std::uint32_t kVersion1 = 1;           // RFC 9000
constexpr std::uint32_t kVersion2 = 0x6b3343cf;  // RFC 9369
constexpr std::uint32_t kDraftMask = 0xffffff00;
constexpr std::uint32_t kDraft = 0xff000000;
constexpr std::uint32_t kForcedNegotiationMask = 0x0f0f0f0f;  // RFC 9000 section 15: 0x?a?a?a?a
constexpr std::uint32_t kForcedNegotiation = 0x0a0a0a0a;

// The two type bits that mean Initial; nothing for a version not known here.
std::optional<unsigned> initial_type(std::uint32_t version) {
  if (version == kVersion1 || (version & kDraftMask) == kDraft) return 0;
  if ((version & kForcedNegotiationMask) == kForcedNegotiation) return 0;
  if (version == kVersion2) return 1;
  return std::nullopt;
}

}  // namespace

Parsed<QuicInitial> parse_quic_initial(base::Bytes datagram) {
  constexpr std::size_t kUpToFirstId = 6;  // first byte, version, length of the id
  base::ByteReader reader(datagram);
  const auto first = reader.u8();
  if (!first) return NeedMore{kUpToFirstId};
  if ((*first & 0xc0U) != 0xc0U) return Malformed{"not a QUIC long header"};  // RFC 9000 section 17.2
  const auto version = reader.u32();
  if (!version) return NeedMore{kUpToFirstId};
  const auto type = initial_type(*version);
  if (!type) return Malformed{"an unknown QUIC version"};
  if ((*first >> 4U & 3U) != *type) return Malformed{"not a QUIC Initial"};

  QuicInitial initial{*version, 0, 0};
  for (std::size_t* length : {&initial.destination_id_length, &initial.source_id_length}) {
    const auto size = reader.u8();
    if (!size) return NeedMore{reader.position() + 1};
    if (*size > kMaxConnectionId) return Malformed{"a QUIC connection id that is too long"};
    if (!reader.skip(*size)) return NeedMore{reader.position() + *size};
    *length = *size;
  }
  return initial;
}

std::string quic_version_text(std::uint32_t version) {
  if (version == kVersion1) return "1";
  if (version == kVersion2) return "2";
  if ((version & kDraftMask) == kDraft) return "draft-" + std::to_string(version & ~kDraftMask);
  std::array<char, 8> hex{};
  const auto [end, error] = std::to_chars(hex.begin(), hex.end(), version, 16);
  return "0x" + std::string(hex.begin(), error == std::errc{} ? end : hex.begin());
}

}  // namespace soleroute::sniffer
