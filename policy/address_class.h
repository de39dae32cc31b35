// Which addresses a public name may lead to: the non-public ranges of both families, with their embeddings.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/ip_address.h"

namespace soleroute::policy {

// "public", or the name of the special range ("loopback", "private (RFC 1918)", "link-local and cloud metadata", …).
// IPv4 embedded in IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is judged by the embedded address, and public only
// behind the well-known NAT64 prefix, where it is the way to the IPv4 internet.
[[nodiscard]] std::string_view address_class(const base::IpAddress& address);
[[nodiscard]] bool is_public(const base::IpAddress& address);

// Where a translator of the well-known NAT64 prefix (RFC 6052) takes a connection to 64:ff9b::/96: the IPv4 address
// inside. Any other address as it is.
[[nodiscard]] base::IpAddress beyond_nat64(const base::IpAddress& address);

// An address that no policy is meant to list: the machine's own, its link, every host at once, the metadata service of
// a cloud. Nothing suggests a line for it, whatever was denied.
[[nodiscard]] bool is_never_suggested(const base::IpAddress& address);

// Does a range have such addresses in it?
[[nodiscard]] bool covers_never_suggested(const base::Cidr& range);

inline constexpr std::string_view kPlaceholderResolver = "this resolver hands out placeholder addresses";
// The range that a policy lists once for a resolver which hands out placeholder addresses: some VPN clients and
// transparent proxies (Clash, sing-box, Surge) answer every name with an address that stands for it, and connect by
// name when it comes back. Nothing: `address` is no such placeholder.
[[nodiscard]] std::optional<base::Cidr> placeholder_range(const base::IpAddress& address);
// Is the range within such a range?
[[nodiscard]] bool is_placeholder(const base::Cidr& range);

// May the gateway dial this address for a name whose entry permits these ranges?
[[nodiscard]] bool may_dial(const base::IpAddress& address, std::span<const base::Cidr> permitted);
// The same for a name to which `hosts:` gives these addresses. A person wrote them down for this name, but that lists
// no address that is_never_suggested().
[[nodiscard]] bool may_dial_static(const base::IpAddress& address, std::span<const base::IpAddress> addresses);

}  // namespace soleroute::policy
