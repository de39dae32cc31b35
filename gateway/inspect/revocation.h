// What an origin itself brings to say that its certificate is revoked: the OCSP answer stapled to its handshake.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include "base/byte_reader.h"

struct stack_st_X509;

namespace soleroute::gateway::inspect {

// Does this answer (RFC 6960), signed for the issuer, say that the first certificate of the verified `chain` is
// revoked? One that says nothing of it, or is not to be believed, revokes nothing: nobody has to bring one.
[[nodiscard]] bool says_revoked(base::Bytes answer, const stack_st_X509* chain, X509_STORE* roots);

}  // namespace soleroute::gateway::inspect
