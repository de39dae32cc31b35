// Parts of the replies of the DNS server: which entry decides about a name, RDATA, extended errors, and remarks.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/dns/cache.h"
#include "policy/policy.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

// The name whose entry decides: of `_mongodb._tcp.db.test` and `_dmarc.db.test` it is db.test, unless an entry has the
// name itself.
[[nodiscard]] base::HostName named_by(const base::HostName& name, sniffer::DnsType type, const policy::Policy& policy);

// The address of "5.2.0.192.in-addr.arpa", or of 32 nibbles below ip6.arpa; nothing for other names.
[[nodiscard]] std::optional<base::IpAddress> reversed(const base::HostName& name);

// Transfers, transaction signatures and OPT are not questions (RFC 5936, 8945, 6891); ANY, 255, is one.
[[nodiscard]] bool is_meta(sniffer::DnsType type);
[[nodiscard]] bool is_address(sniffer::DnsType type);

[[nodiscard]] std::vector<std::byte> rdata_of(const base::IpAddress& address);
[[nodiscard]] std::vector<std::byte> wire_of(const sniffer::DnsName& name);
[[nodiscard]] std::vector<std::byte> rdata_of(const sniffer::DnsService& location);

using MaybeError = std::optional<sniffer::DnsExtendedError>;

[[nodiscard]] sniffer::DnsReply negative(sniffer::DnsRcode rcode, std::uint32_t ttl, MaybeError error = std::nullopt);
[[nodiscard]] sniffer::DnsReply bare(sniffer::DnsRcode rcode, MaybeError error = std::nullopt);

// Nothing where the query has no EDNS.
[[nodiscard]] MaybeError error_for(const sniffer::DnsQuery& query, sniffer::DnsErrorCode code, std::string_view text);
[[nodiscard]] MaybeError blocked(const sniffer::DnsQuery& query, const base::HostName& name);
[[nodiscard]] MaybeError upstream_error(const sniffer::DnsQuery& query, std::string_view why);
// Nothing for an answer that is not stale.
[[nodiscard]] MaybeError stale(const sniffer::DnsQuery& query, const RecordSet& set);

// As extended errors and the log show them.
// "Ask over TCP": there the client must have its address to get an answer (RFC 1035 section 4.2.1).
[[nodiscard]] std::vector<std::byte> truncated_reply(const sniffer::DnsQuery& query, std::size_t limit);
[[nodiscard]] std::string shown(const base::HostName& name);
[[nodiscard]] std::string filtered_text(const base::HostName& name, const base::IpAddress& refused);
[[nodiscard]] std::string remark_on(const RecordSet& set);
[[nodiscard]] std::string type_detail(sniffer::DnsType type);

[[nodiscard]] std::uint32_t remaining_ttl(const RecordSet& set);  // seconds, at least 1

}  // namespace soleroute::gateway::dns
