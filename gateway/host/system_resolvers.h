// The upstream DNS servers that this machine uses, from resolv.conf(5).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::host {

// `nameserver` lines of the text, at most three as resolv.conf(5) says; zones of link-local addresses are refused.
[[nodiscard]] std::vector<base::Endpoint> parse_resolv_conf(std::string_view text);

struct SearchDomains {
  std::vector<base::HostName> domains{};  // of the last `search` or `domain` line
  unsigned ndots = 1;                     // at most kMaxNdots, as resolv.conf(5) says
};
inline constexpr unsigned kMaxNdots = 15;
// Words that are no host names are left out; at most 32 domains.
[[nodiscard]] SearchDomains parse_search_domains(std::string_view text);
// Of /etc/resolv.conf; none where it cannot be read.
[[nodiscard]] SearchDomains system_search_domains();

// Those of /etc/resolv.conf. None there: an error that names --resolver.
[[nodiscard]] base::Result<std::vector<base::Endpoint>> system_resolvers();

}  // namespace soleroute::gateway::host
