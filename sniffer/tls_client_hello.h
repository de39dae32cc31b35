// The TLS ClientHello that opens a connection, read from the raw TCP bytes over any split in records and segments.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_reader.h"
#include "base/host_name.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

// Raw bytes, record headers included, that a ClientHello may take; more is Malformed{too_large}.
inline constexpr std::size_t kMaxClientHelloBytes = 65536;

struct ClientHello {
  std::optional<base::HostName> server_name;  // absent: no server_name extension
  std::vector<std::string> alpn;              // protocol names, RFC 7301
  bool encrypted_client_hello = false;        // extension 0xfe0d present (outer ECH; GREASE ECH looks the same)
  bool offers_tls13 = false;
  std::size_t size = 0;                       // raw bytes up to and including the record that ends the hello
};

// A server_name that is not a valid host name, a list that is not exactly one host_name, an address literal, a record
// that is not a handshake record: malformed. RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3.
[[nodiscard]] Parsed<ClientHello> parse_client_hello(base::Bytes received);

}  // namespace soleroute::sniffer
