// Lets a client of HTTP/1.1 use an origin that speaks HTTP/2 alone: requests are rewritten one after the other, bodies
// stream both ways in constant memory, and a WebSocket becomes one of RFC 8441.
// Used on its worker's thread; borrows the context.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/flow/flow_context.h"
#include "gateway/flow/http2_request.h"
#include "gateway/http2/field.h"
#include "gateway/net/stream.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::flow {

// The origin's connection as one of HTTP/1.1; both end together. Null: no descriptors are left. Whoever has it sets the
// deadlines, and never sends a request before the answer to the one before is whole.
[[nodiscard]] std::unique_ptr<net::Stream> http1_over_http2(FlowContext& context, const base::IpAddress& client,
                                                            std::unique_ptr<net::Stream> origin);

// --- Its parts, pure.

// A request that the gateway has taken over HTTP/1.1. No field enters a compression table: those that the policy has
// set cannot be told from the rest any more.
[[nodiscard]] Http2Request http2_request(const sniffer::RequestHead& head);
// An interim or final answer's head. `framing`: the fields that HTTP/2 has no use for, each with its CRLF.
[[nodiscard]] std::string http1_answer_head(const http2::Fields& head, std::string_view framing);

}  // namespace soleroute::gateway::flow
