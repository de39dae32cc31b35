// The fatal alert that refuses a TLS connection before there is any TLS.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace soleroute::gateway::ingress {

// RFC 8446 section 6.2.
enum class Alert : std::uint8_t {
  kUnexpectedMessage = 10,
  kRecordOverflow = 22,
  kIllegalParameter = 47,
  kAccessDenied = 49,
  kDecodeError = 50,
  kProtocolVersion = 70,
  kInternalError = 80,
  kUnrecognizedName = 112,
  kNoApplicationProtocol = 120
};

[[nodiscard]] inline std::string alert_record(Alert alert) {
  constexpr char kFatal = 2;
  return {'\x15', '\x03', '\x03', '\x00', '\x02', kFatal, static_cast<char>(alert)};
}

}  // namespace soleroute::gateway::ingress
