// The heads of HTTP/1.1 requests and their answers, rewritten for an origin that speaks HTTP/2.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/h2/request.h"
#include "gateway/http2/field.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h2 {

// A request that the gateway has taken over HTTP/1.1. No field enters a compression table: those that the policy has
// set cannot be told from the rest any more.
[[nodiscard]] Request http2_request(const sniffer::RequestHead& head);
// An interim or final answer's head. `framing`: the fields that HTTP/2 has no use for, each with its CRLF.
[[nodiscard]] std::string http1_answer_head(const http2::Fields& head, std::string_view framing);

}  // namespace soleroute::gateway::http::h2
