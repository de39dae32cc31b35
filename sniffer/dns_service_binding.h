// An SVCB or HTTPS record (RFC 9460): read strictly, and reduced to what a client behind the gateway may use.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_reader.h"
#include "base/ip_address.h"
#include "sniffer/dns_name.h"
#include "sniffer/parsed.h"

namespace soleroute::sniffer {

inline constexpr std::size_t kMaxServiceHints = 16;  // of one record, for each family

struct ServiceBinding {
  std::uint16_t priority = 0;  // 0: AliasMode
  DnsName target;              // the root: the owner itself
  std::vector<std::string> alpn;
  bool no_default_alpn = false;
  std::optional<std::uint16_t> port;
  std::vector<base::IpAddress> hints;  // ipv4hint and ipv6hint
  bool has_mandatory = false;
  bool has_ech = false;

  bool operator==(const ServiceBinding&) const = default;
};

// RDATA, uncompressed. Keys out of order or twice, lengths that lie, `mandatory` keys that are not there: malformed.
[[nodiscard]] Parsed<ServiceBinding> parse_service_binding(base::Bytes rdata);

// The record without `ech`, `h3*`, unknown parameters and hints beyond the limit; nullopt when it is of no use here:
// AliasMode, a port other than 443, a target other than the owner, `mandatory` (its promise may not survive), or no
// protocol left.
[[nodiscard]] std::optional<ServiceBinding> reduced(const ServiceBinding& binding);

// RDATA of a reduced record, with the hints that `may_use` accepts.
[[nodiscard]] std::vector<std::byte> encode_service_binding(const ServiceBinding& reduced_binding,
                                                            const std::function<bool(const base::IpAddress&)>& may_use);

}  // namespace soleroute::sniffer
