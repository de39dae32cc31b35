// Inspected https: TLS is terminated with a leaf of the gateway's CA, before or after a decision about its name.
// Used on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "gateway/flow/context.h"
#include "gateway/flow/refusal.h"

namespace soleroute::gateway::ingress {

// What the ClientHello of a connection said.
struct TlsAsked {
  base::HostName name;
  std::vector<std::string> alpn;
};

// What a decision about a connection comes to here: without a CA, what may only pass inspected does not pass.
[[nodiscard]] policy::Decision require_ca(const flow::Context& context, policy::Decision decision);

// An allowed connection that the policy wants inspected: the origin first, then the client, then its requests.
// Precondition: context.inspection.
[[nodiscard]] boost::asio::awaitable<void> serve_inspected(flow::Context& context, flow::ClientConnection client,
                                                           flow::ReadAhead read, TlsAsked asked);
// A denied connection, or an allowed one to a name that leads to private addresses: its requests are answered with the
// page of docs/refusals.md, over a leaf for the name, which is never dialled. `refusal` is what the log says if the
// client takes no leaf. An alert tells a client that asks for too many names, and any where there is no CA.
// Precondition: HTTP is among what the client speaks.
[[nodiscard]] boost::asio::awaitable<void> serve_refused(flow::Context& context, flow::ClientConnection client,
                                                         flow::ReadAhead read, TlsAsked asked, flow::Refusal refusal);

}  // namespace soleroute::gateway::ingress
