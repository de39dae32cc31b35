// An OpenSSL BIO with one owner.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <memory>

namespace soleroute::gateway::inspect {

struct BioDeleter {
  void operator()(BIO* bio) const;
};
using BioPtr = std::unique_ptr<BIO, BioDeleter>;

}  // namespace soleroute::gateway::inspect
