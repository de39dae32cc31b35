// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/bio.h"

#include <openssl/bio.h>

namespace soleroute::gateway::inspect {

void BioDeleter::operator()(BIO* bio) const {
  BIO_free(bio);
}

}  // namespace soleroute::gateway::inspect
