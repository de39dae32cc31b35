// Names that a certificate covers though OpenSSL says no.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include "base/host_name.h"

namespace soleroute::gateway::inspect {

// A name whose first label has a '_' and a certificate for "*." and the rest of it, of two labels at least (RFC 9525
// section 6.3: one whole label; CA/Browser Forum's Baseline Requirements allow a '_' below a wildcard).
[[nodiscard]] bool wildcard_covers_underscore(const X509* certificate, const base::HostName& name);

}  // namespace soleroute::gateway::inspect
