// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/special_names.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace soleroute::gateway::dns {
namespace {

// RFC 6761 sections 6.3 and 6.4, RFC 7686, RFC 9476.
constexpr std::array<std::string_view, 4> kThisHostDomains{"localhost", "invalid", "onion", "alt"};
// RFC 6762; .internal is ICANN's private-use domain, where container engines and clouds keep their own names.
constexpr std::array<std::string_view, 2> kLocalDomains{"local", "internal"};

bool is_in(const base::HostName& name, std::string_view domain) {
  return name.text() == domain || name.is_below(domain);
}

template <std::size_t kCount>
bool is_in_any(const base::HostName& name, const std::array<std::string_view, kCount>& domains) {
  return std::ranges::any_of(domains, [&](std::string_view domain) { return is_in(name, domain); });
}

}  // namespace

SpecialName special_name(const base::HostName& name) {
  if (name.text() == "gateway.internal") return SpecialName::kGateway;
  if (is_in(name, "use-application-dns.net")) return SpecialName::kNoDoh;
  if (is_in(name, "arpa")) return SpecialName::kReverse;
  if (is_in_any(name, kThisHostDomains)) return SpecialName::kThisHost;
  const bool single_label = name.parent().empty();
  return single_label || is_in_any(name, kLocalDomains) ? SpecialName::kLocal : SpecialName::kNone;
}

}  // namespace soleroute::gateway::dns
