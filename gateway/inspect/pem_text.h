// Keys and certificates as PEM text, and back.
// Stateless. A key's text is secret: it goes into the CA's own file and nowhere else.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/inspect/leaf.h"

namespace soleroute::gateway::inspect {

// The first key of the text. kUsage where there is none or it is encrypted: nobody is asked for a passphrase.
[[nodiscard]] base::Result<KeyPtr> parse_private_key(std::string_view pem);
[[nodiscard]] base::Result<std::string> private_key_pem(EVP_PKEY& key);

// The certificates of a text in order; whatever else it holds is passed over. kUsage where there is none, or where one
// cannot be read.
[[nodiscard]] base::Result<std::vector<X509Ptr>> parse_certificates(std::string_view pem);
[[nodiscard]] std::string to_pem(X509& certificate);

}  // namespace soleroute::gateway::inspect
