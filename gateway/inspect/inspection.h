// What inspecting TLS takes, for the whole process: who signs leaves, and which roots origins are held to.
// Never changes after the start; shared by workers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>

#include "gateway/inspect/leaf.h"

namespace soleroute::gateway::inspect {

struct Inspection {
  std::shared_ptr<LeafSource> leaves;  // never null
  std::string ca_certificate_pem;      // the public certificate that clients are to trust
  std::string origin_roots_pem;        // --trust: certificates in PEM form beside the system's roots; may be empty
};

}  // namespace soleroute::gateway::inspect
