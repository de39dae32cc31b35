// What a person wants to know of a certificate.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <string>

#include "gateway/inspect/certificate_parts.h"

namespace soleroute::gateway::inspect {

struct CertificateFacts {
  std::string subject;      // "CN = ..., O = ...", control characters escaped
  std::string fingerprint;  // SHA-256 in the form AA:BB:...
  std::string key;          // "EC P-256", "RSA 2048"
  std::string valid_from;   // RFC 3339, UTC
  std::string valid_until;
};
[[nodiscard]] CertificateFacts describe(X509& certificate);
[[nodiscard]] std::string date_text(TimePoint time);

}  // namespace soleroute::gateway::inspect
