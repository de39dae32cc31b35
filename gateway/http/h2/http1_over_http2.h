// Lets a client of HTTP/1.1 use an origin that speaks HTTP/2 alone: requests are rewritten one after the other, bodies
// stream both ways in constant memory, and a WebSocket becomes one of RFC 8441.
// Used on its worker's thread; borrows the context.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>

#include "gateway/flow/context.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::http::h2 {

// The origin's connection as one of HTTP/1.1; both end together. Null: no descriptors are left. Whoever has it sets the
// deadlines, and never sends a request before the answer to the one before is whole.
[[nodiscard]] std::unique_ptr<net::Stream> http1_over_http2(flow::Context& context, const base::IpAddress& client,
                                                            std::unique_ptr<net::Stream> origin);

}  // namespace soleroute::gateway::http::h2
