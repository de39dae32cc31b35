// Headers of the TLS records that carry a ClientHello, before there is any TLS.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>

#include "base/byte_reader.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

inline constexpr std::size_t kTlsRecordHeader = 5;           // RFC 8446 section 5.1: type, version, length
inline constexpr std::size_t kMaxTlsRecordLength = 1 << 14;  // RFC 8446 section 5.1

// What a wrong hello is answered with where decode_error does not fit (RFC 8446 sections 5.1 and 6.2).
inline constexpr int kUnexpectedMessageAlert = 10;
inline constexpr int kRecordOverflowAlert = 22;
inline constexpr int kIllegalParameterAlert = 47;
inline constexpr int kProtocolVersionAlert = 70;

// The length in bytes of the body of the handshake record that begins at the front of `at`. Each byte of the header is
// judged as soon as it is there.
[[nodiscard]] Parsed<std::size_t> parse_handshake_record(base::Bytes at);

// Follows the records of a ClientHello that is not whole yet, so that one of another kind among them is met when its
// first byte arrives and not when the hello should have been whole. Costs each header once, whatever the input's pace.
class HandshakeRecords {
 public:
  // All bytes so far, the earlier ones in front. What is wrong with a header among them; asked again, the same.
  [[nodiscard]] std::optional<Malformed> inspect(base::Bytes received);

 private:
  std::size_t next_ = 0;  // where the next header begins
};

}  // namespace soleroute::sniffer
