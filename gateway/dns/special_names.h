// Names that never belong to the public DNS, and what becomes of questions about them (RFC 6761, RFC 9476).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

#include "base/host_name.h"

namespace soleroute::gateway::dns {

enum class SpecialName : std::uint8_t {
  kNone,
  kGateway,   // gateway.internal: this gateway
  kNoDoh,     // use-application-dns.net: NXDOMAIN tells browsers to leave DNS over HTTPS alone
  kReverse,   // .arpa: reverse look-ups and discovery; answered empty
  kThisHost,  // localhost, invalid, onion: never asked, whatever a policy says
  kLocal,     // single labels, .local, .internal, …: asked only where the policy allows them
};

[[nodiscard]] SpecialName special_name(const base::HostName& name);

}  // namespace soleroute::gateway::dns
