// A CA's list of revoked certificates, which is empty: a leaf lives a few weeks with its process and is never revoked.
// Clients that insist on such a list (Java, .NET, Windows) fetch it from where the leaf says.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/inspect/certificate_parts.h"

namespace soleroute::gateway::inspect {

// Plain http, as RFC 5280 section 4.2.1.13 wants it: https would need a revocation list to fetch the list.
inline constexpr std::string_view kRevocationListUrl = "http://gateway.internal/ca.crl";
// As a leaf, it is valid for clients whose clock is wrong.
inline constexpr std::chrono::hours kRevocationListBackdate{24 * 30};
inline constexpr std::chrono::hours kRevocationListLife{24 * 30};

// A CA whose keyUsage leaves out cRLSign signs none: clients would refuse it.
[[nodiscard]] bool may_sign_revocation_list(X509& issuer);
// DER, version 2, with the issuer's key identifier and a number that rises with time.
[[nodiscard]] base::Result<std::string> sign_revocation_list(X509& issuer, EVP_PKEY& key, TimePoint now);

}  // namespace soleroute::gateway::inspect
