// The gateway's certificate authority: what clients are to trust, and the key that signs leaves under it.
// Never changes once it is made; used by several threads at once. The key leaves it only as the text of its own file.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/result.h"
#include "gateway/inspect/certificate_parts.h"
#include "gateway/inspect/leaf.h"

namespace soleroute::gateway::inspect {

class Authority {
 public:
  // ECDSA P-256, ten years as mitmproxy has it, named after its key so that an old and a new one differ.
  [[nodiscard]] static base::Result<Authority> create(TimePoint now);
  // The text of mitmproxy-ca.pem: a key and its certificate in any order, then those above it. Refused, saying what is
  // wrong: an encrypted or weak key, a certificate that is none of a CA, of another key, or not valid at `now`.
  [[nodiscard]] static base::Result<Authority> parse(std::string_view pem, TimePoint now);

  [[nodiscard]] X509& certificate() const { return *certificates_.front(); }
  [[nodiscard]] EVP_PKEY& key() const { return *key_; }
  [[nodiscard]] TimePoint valid_until() const { return inspect::valid_until(certificate()); }
  // What clients are to trust, in PEM form: the last certificate of the file. Public.
  [[nodiscard]] std::string certificate_pem() const;
  // The text for mitmproxy-ca.pem. Secret.
  [[nodiscard]] base::Result<std::string> secret_pem() const;

  // A leaf for exactly this name, with the public half of `leaf_key`.
  // It names the revocation list, if this CA may sign one.
  [[nodiscard]] base::Result<Leaf> issue(const base::HostName& name, EVP_PKEY& leaf_key, TimePoint now,
                                         LeafUse use = LeafUse::kInspection) const;

  // The DER text of its revocation list; empty: it may not sign one.
  [[nodiscard]] base::Result<std::string> revocation_list(TimePoint now) const;

 private:
  Authority(KeyPtr key, std::vector<X509Ptr> certificates);

  KeyPtr key_;
  std::vector<X509Ptr> certificates_;  // the CA first, then what is above it; never empty
};

// A new key for leaves: ECDSA P-256.
[[nodiscard]] base::Result<KeyPtr> make_key();

// Is it that of a CA, and valid at `now`? kUsage says what is wrong.
[[nodiscard]] base::Status check_authority_certificate(X509& certificate, TimePoint now);

// Clients whose clock is weeks behind or ahead accept it, too. Together less than the 398 days that browsers allow.
inline constexpr std::chrono::hours kLeafBackdate{24 * 30};
inline constexpr std::chrono::hours kLeafLife{24 * 30};
inline constexpr std::chrono::hours kLeafRenewal{24};
// A client checks the CA's own period as well, so a new CA begins no later than its leaves.
inline constexpr std::chrono::hours kAuthorityBackdate{kLeafBackdate};

}  // namespace soleroute::gateway::inspect
