// Connections to the address of a denied name, on a port that is not the web's: a client learns what was refused, and
// nothing is dialled.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "base/host_name.h"
#include "gateway/flow/context.h"
#include "gateway/flow/refusal.h"

namespace soleroute::gateway::ingress {

// Never on ports 80 and 443, which every denied name has a page on.
[[nodiscard]] bool leads_to_denied_port(const flow::Context& context, const flow::ClientConnection& client);
// What the log says of it. `asked`: the name in the connection, for an address that has no name any more.
[[nodiscard]] flow::Refusal denied_port_refusal(const flow::Context& context, const flow::ClientConnection& client,
                                                const std::optional<base::HostName>& asked = std::nullopt);

}  // namespace soleroute::gateway::ingress
