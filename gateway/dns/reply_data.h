// Names and data of records that DNS answers: which entry decides about a name, and RDATA as it is sent.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "policy/policy.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

// The name whose entry decides: of `_mongodb._tcp.db.test` and `_dmarc.db.test` it is db.test, unless an entry has the
// name itself.
[[nodiscard]] base::HostName named_by(const base::HostName& name, sniffer::DnsType type, const policy::Policy& policy);

// The address of "5.2.0.192.in-addr.arpa", or of 32 nibbles below ip6.arpa; nothing for other names.
[[nodiscard]] std::optional<base::IpAddress> reversed(const base::HostName& name);

[[nodiscard]] std::vector<std::byte> wire_of(const sniffer::DnsName& name);
[[nodiscard]] std::vector<std::byte> rdata_of(const sniffer::DnsService& location);

}  // namespace soleroute::gateway::dns
