// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/inspection.h"

#include <utility>

#include "gateway/inspect/leaf_issuer.h"

namespace soleroute::gateway::inspect {

base::Result<std::shared_ptr<const Inspection>> make_inspection(std::shared_ptr<LeafSource> leaves,
                                                                std::string ca_certificate_pem,
                                                                const std::string& origin_roots_pem) {
  SR_LET(agents, AgentTls::make());
  SR_LET(origins, OriginTls::make(origin_roots_pem));
  Inspection inspection{std::move(leaves), std::move(ca_certificate_pem), std::move(*agents), std::move(*origins)};
  return std::make_shared<const Inspection>(std::move(inspection));
}

base::Result<std::shared_ptr<const Inspection>> make_inspection(Authority authority,
                                                                const std::string& origin_roots_pem) {
  std::string certificate = authority.certificate_pem();
  SR_LET(leaves, LeafIssuer::start(std::move(authority)));
  return make_inspection(std::move(*leaves), std::move(certificate), origin_roots_pem);
}

}  // namespace soleroute::gateway::inspect
