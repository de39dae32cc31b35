// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/denied_port.h"

#include <optional>
#include <string>

#include "base/web_ports.h"

namespace soleroute::gateway::ingress {

bool leads_to_denied_port(const flow::Context& context, const flow::ClientConnection& client) {
  const auto& to = client.original_destination;
  return !base::is_web_port(to.port) && context.names.is_denied(to.address);
}

flow::Refusal denied_port_refusal(const flow::Context& context, const flow::ClientConnection& client,
                                  const std::optional<base::HostName>& asked) {
  auto name = context.names.looked_up_as(client.peer.address, client.original_destination.address);
  if (!name) name = asked;
  return {.phase = policy::Phase::kConnect,
          .reason = policy::Reason::kEndpointNotAllowed,
          .host = name ? name->text() : "",
          .detail = std::string(audit::kOwnAddress)};
}

}  // namespace soleroute::gateway::ingress
