// A denied connection that waits for an operator's answer: TLS at its ClientHello, CONNECT, another port.
// Runs on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "gateway/audit/decision_log.h"
#include "gateway/flow/context.h"
#include "policy/policy.h"

namespace soleroute::gateway::ingress {

// May this one wait? `decision` is what denies it.
[[nodiscard]] bool may_be_held(const flow::Context& context, const flow::ClientConnection& client,
                               const policy::Decision& decision);

enum class Held : std::uint8_t { kPasses, kDenied };
// Waits. kPasses: flow::policy_of() lets it pass now; a policy for it alone is in client.granted. `client` is the
// caller's. Its deadline is flow::kFirstBytesTimeout afterwards.
[[nodiscard]] boost::asio::awaitable<Held> hold_connection(flow::Context& context, flow::ClientConnection& client,
                                                           audit::DecisionRecord record,
                                                           std::function<bool(const policy::Policy&)> passes);

// Does a live connection outlive a reload? `ask` asks a policy the connection's own question. `granted` may be null.
[[nodiscard]] bool outlives(const policy::Policy& fresh, const policy::Policy* granted,
                            const std::function<policy::Decision(const policy::Policy&)>& ask);

}  // namespace soleroute::gateway::ingress
