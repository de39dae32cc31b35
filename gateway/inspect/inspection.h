// What inspecting TLS takes, for the whole process: who signs leaves, and how both sides of a connection are spoken to.
// Never changes after the start; shared by workers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gateway/inspect/agent_tls.h"
#include "gateway/inspect/authority.h"
#include "gateway/inspect/leaf.h"
#include "gateway/inspect/origin_tls.h"

namespace soleroute::gateway::inspect {

struct Inspection {
  std::shared_ptr<LeafSource> leaves;        // never null
  std::string ca_certificate_pem;            // the public certificate that clients are to trust
  std::shared_ptr<const AgentTls> agents;    // never null
  std::shared_ptr<const OriginTls> origins;  // never null
};

// `origin_roots_pem`: --trust, certificates in PEM form that origins may be verified with beside the system's roots;
// may be empty.
[[nodiscard]] base::Result<std::shared_ptr<const Inspection>> make_inspection(std::shared_ptr<LeafSource> leaves,
                                                                              std::string ca_certificate_pem,
                                                                              const std::string& origin_roots_pem);

// The same with a CA, whose thread that signs it starts: call it after the last fork.
[[nodiscard]] base::Result<std::shared_ptr<const Inspection>> make_inspection(Authority authority,
                                                                              const std::string& origin_roots_pem);

}  // namespace soleroute::gateway::inspect
