// Special-use names (RFC 6761, RFC 8375, RFC 9476): the one view of them that DNS, SNI, Host, `explain` and `check`
// ask. Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "base/host_name.h"

namespace soleroute::policy {

enum class SpecialName : std::uint8_t {
  kNone,
  kGateway,   // gateway.internal: this gateway
  kNoDoh,     // use-application-dns.net: NXDOMAIN tells browsers to leave DNS over HTTPS alone
  kReverse,   // reverse lookups and resolver discovery below .arpa: no hosts
  kLoopback,  // localhost: the client itself, 127.0.0.1 and ::1
  kNever,     // invalid, onion, alt: not in any DNS
  kLocal,     // single labels, .local, .internal, home.arpa, …: resolved only where the policy lists them
};

[[nodiscard]] SpecialName special_name(const base::HostName& name);

// No flow to such a name is ever allowed, whatever a policy lists.
[[nodiscard]] bool is_never_forwarded(SpecialName kind);
// Why, about `name`: one sentence. Precondition: is_never_forwarded().
[[nodiscard]] std::string never_forwarded_sentence(const base::HostName& name);

}  // namespace soleroute::policy
