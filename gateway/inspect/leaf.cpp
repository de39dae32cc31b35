// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/leaf.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

namespace soleroute::gateway::inspect {

void X509Deleter::operator()(X509* certificate) const {
  X509_free(certificate);
}

void KeyDeleter::operator()(EVP_PKEY* key) const {
  EVP_PKEY_free(key);
}

}  // namespace soleroute::gateway::inspect
