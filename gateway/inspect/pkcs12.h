// A CA as PKCS #12, the form that Windows and some browsers import.
// Stateless.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "gateway/inspect/authority.h"

namespace soleroute::gateway::inspect {

enum class Pkcs12Content { kCertificate, kCertificateAndKey };

// Without a password, as mitmproxy writes it: what guards the key is the file's mode.
[[nodiscard]] base::Result<std::string> to_pkcs12(const Authority& authority, Pkcs12Content content);

}  // namespace soleroute::gateway::inspect
