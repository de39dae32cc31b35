// A domain name as it stands on the wire: any bytes in labels, case kept for the echo, compression resolved.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/byte_reader.h"
#include "base/host_name.h"

namespace soleroute::sniffer {

class DnsName {
 public:
  static constexpr std::size_t kMaxWire = 255;     // RFC 1035 section 2.3.4, final zero included
  static constexpr std::size_t kMaxLabel = 63;     // RFC 1035 section 2.3.4
  static constexpr std::size_t kMaxPointers = 64;  // jumps in one name; no encoder needs more than one a label

  DnsName() = default;  // the root
  [[nodiscard]] static DnsName from_host(const base::HostName& host);
  // The name at the reader's position, the reader left behind it. `message` is the whole message that pointers count
  // from; a pointer must lead backwards, behind the header (RFC 1035 section 4.1.4). nullopt: malformed.
  [[nodiscard]] static std::optional<DnsName> read(base::ByteReader& reader, base::Bytes message);
  // Leaves the reader behind a name, whatever its pointer leads to. False: it is cut, or has a label of no known kind.
  [[nodiscard]] static bool skip(base::ByteReader& reader);
  // The same where compression is not allowed (questions, SVCB targets).
  [[nodiscard]] static std::optional<DnsName> read_uncompressed(base::ByteReader& reader);

  // Length-prefixed labels with the final zero; at most kMaxWire bytes.
  [[nodiscard]] const std::string& wire() const { return wire_; }
  [[nodiscard]] bool is_root() const { return wire_.size() == 1; }
  // RFC 4343; operator== compares case as well.
  [[nodiscard]] bool same_ignoring_case(const DnsName& other) const;
  // nullopt when a label holds what a host name cannot, a dot above all.
  [[nodiscard]] std::optional<base::HostName> host_name() const;
  // For people: RFC 1035 section 5.1, every byte but letters, digits, '-' and '_' as \DDD; "." for the root.
  [[nodiscard]] std::string text() const;
  // Case of every letter chosen by one of `bits` (draft-vixie-dnsext-dns0x20); bits are used again when they run out.
  [[nodiscard]] DnsName with_random_case(std::span<const std::byte> bits) const;

  bool operator==(const DnsName&) const = default;

 private:
  std::string wire_ = std::string(1, '\0');
};

}  // namespace soleroute::sniffer
