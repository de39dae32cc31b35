// The parts that certificates of a CA and of a host are put together from.
// Stateless; each function writes one field and says with false that OpenSSL could not (out of memory, no randomness).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/inspect/leaf.h"

namespace soleroute::gateway::inspect {

using TimePoint = std::chrono::system_clock::time_point;

enum class KeyUsage : std::uint8_t { kCertificates, kHandshakes };

[[nodiscard]] bool set_random_serial(X509& certificate);  // 159 bits, never negative (RFC 5280 section 4.1.2.2)
[[nodiscard]] bool set_validity(X509& certificate, TimePoint from, TimePoint until);
// `what`: "CN", "O"; at most 64 characters (RFC 5280 appendix A, ub-common-name).
[[nodiscard]] bool add_name_entry(X509_NAME& name, const char* what, std::string_view text);

// Extensions.
[[nodiscard]] bool add_ca_constraint(X509& certificate);    // a CA of leaves, critical
[[nodiscard]] bool add_leaf_constraint(X509& certificate);  // not a CA, critical
[[nodiscard]] bool add_key_usage(X509& certificate, KeyUsage usage);
[[nodiscard]] bool add_server_purpose(X509& certificate);
[[nodiscard]] bool add_own_key_id(X509& certificate);
// Equal to the issuer's subject key identifier, byte by byte; of its key where it has none.
[[nodiscard]] bool add_issuer_key_id(X509& certificate, X509& issuer);
[[nodiscard]] bool add_dns_name(X509& certificate, std::string_view name, bool critical);
[[nodiscard]] bool add_revocation_list_url(X509& certificate, std::string_view url);

struct IssuerKeyDeleter {
  void operator()(AUTHORITY_KEYID* id) const;
};
using IssuerKeyPtr = std::unique_ptr<AUTHORITY_KEYID, IssuerKeyDeleter>;
// The value of add_issuer_key_id(); null: OpenSSL could not.
[[nodiscard]] IssuerKeyPtr issuer_key_id(X509& issuer);

// SHA-1 of the public key, as RFC 5280 section 4.2.1.2 names keys: a label, not a protection.
[[nodiscard]] std::vector<unsigned char> public_key_id(X509& certificate);

[[nodiscard]] TimePoint valid_from(X509& certificate);
[[nodiscard]] TimePoint valid_until(X509& certificate);

// What OpenSSL said last, in `what: …`; empties its queue.
[[nodiscard]] std::unexpected<base::Error> crypto_error(std::string what);

}  // namespace soleroute::gateway::inspect
