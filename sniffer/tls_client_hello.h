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
// Handshake records without a byte in them that may come before the hello is whole; OpenSSL accepts as many in a row.
inline constexpr std::size_t kMaxEmptyRecords = 32;

struct ClientHello {
  std::optional<base::HostName> server_name;  // absent: no server_name extension
  std::vector<std::string> alpn;              // protocol names, RFC 7301
  bool encrypted_client_hello = false;        // extension 0xfe0d present (outer ECH; GREASE ECH looks the same)
  bool offers_tls13 = false;
  std::size_t size = 0;  // raw bytes up to and including the record that ends the hello
};

// A server_name that is not a valid host name, a list that is not exactly one host_name, an address literal, a record
// that is not a handshake record, an extension that occurs twice, bytes after the hello in its last record: malformed.
// RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3. Records after the hello are not looked at.
// Asked again only when `NeedMore::at_least` bytes are there, dribbled input costs O(n log n) in all.
[[nodiscard]] Parsed<ClientHello> parse_client_hello(base::Bytes received);

}  // namespace soleroute::sniffer
