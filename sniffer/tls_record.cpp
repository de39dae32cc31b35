// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/tls_record.h"

namespace soleroute::sniffer {
namespace {

constexpr std::byte kHandshakeRecord{22};
constexpr std::byte kVersionMajor{3};

}  // namespace

Parsed<std::size_t> parse_handshake_record(base::Bytes at) {
  if (!at.empty() && at[0] != kHandshakeRecord) {
    return Malformed{.reason = "a TLS record that is not of the handshake", .tls_alert = kUnexpectedMessageAlert};
  }
  if (at.size() > 1 && at[1] != kVersionMajor) {
    return Malformed{.reason = "the record version is not TLS", .tls_alert = kProtocolVersionAlert};
  }
  base::ByteReader reader(at);
  if (!reader.skip(kTlsRecordHeader - 2)) return NeedMore{kTlsRecordHeader};
  const auto length = reader.u16();
  if (!length) return NeedMore{kTlsRecordHeader};
  if (*length > kMaxTlsRecordLength) {
    return Malformed{.reason = "a TLS record is longer than 2^14 bytes", .tls_alert = kRecordOverflowAlert};
  }
  return std::size_t{*length};
}

std::optional<Malformed> HandshakeRecords::inspect(base::Bytes received) {
  while (next_ < received.size()) {
    const auto body = parse_handshake_record(received.subspan(next_));
    if (body.malformed()) return body.fault();
    if (!body.complete()) return std::nullopt;
    next_ += kTlsRecordHeader + body.value();
  }
  return std::nullopt;
}

}  // namespace soleroute::sniffer
