// SOCKS5 as a client speaks it (RFC 1928), as far as a proxy without authentication that only connects needs it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/byte_reader.h"
#include "base/ip_address.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

inline constexpr std::byte kSocks5{5};  // the first byte of every message

// Section 3.
struct Socks5Greeting {
  bool without_authentication = false;  // is among what the client offers
  std::size_t size = 0;
};
[[nodiscard]] Parsed<Socks5Greeting> parse_socks5_greeting(base::Bytes received);

// Section 4. Borrows `domain` from what was parsed.
struct Socks5Request {
  enum class Command : std::uint8_t { kConnect = 1, kBind = 2, kUdpAssociate = 3, kUnknown };
  Command command = Command::kUnknown;
  std::string_view domain{};                 // as sent; empty: an address
  std::optional<base::IpAddress> address{};  // none with a domain, or of an unknown type
  std::uint16_t port = 0;
  std::size_t size = 0;

  [[nodiscard]] bool address_type_known() const { return address || !domain.empty(); }
};
// An address of unknown type has no length that is known: such a request ends with what was received.
[[nodiscard]] Parsed<Socks5Request> parse_socks5_request(base::Bytes received);

}  // namespace soleroute::sniffer
