// What is wrong with an origin's certificate, in words for people.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <string>
#include <string_view>

namespace soleroute::gateway::inspect {

// "its certificate expired on 2026-11-01". `error` is X509_V_ERR_…, found in `certificate`, which may be null, at
// `depth` (0: the origin's own). Plain ASCII: what certificates say is escaped and cut.
[[nodiscard]] std::string certificate_fault(int error, int depth, X509* certificate, std::string_view wanted_name);

}  // namespace soleroute::gateway::inspect
