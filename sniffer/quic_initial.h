// The first datagram of a QUIC connection, recognised by its unprotected header: for the log only, nothing is
// decrypted.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/byte_reader.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

// RFC 9000 section 14.1: a client pads its first datagram to this. Shorter ones are no connection attempt, but a copy
// cut short by NFQUEUE is; so it is not required.
inline constexpr std::size_t kMaxConnectionId = 20;  // RFC 9000 section 17.2

struct QuicInitial {
  std::uint32_t version = 0;
  std::size_t destination_id_length = 0;
  std::size_t source_id_length = 0;

  bool operator==(const QuicInitial&) const = default;
};

// The start of a UDP payload. A short header, another long-header type, a version not known here: malformed.
[[nodiscard]] Parsed<QuicInitial> parse_quic_initial(base::Bytes datagram);

// "1", "2", "draft-29", "0xff00abcd".
[[nodiscard]] std::string quic_version_text(std::uint32_t version);

}  // namespace soleroute::sniffer
