// Answers as an HTTP/2 client gets them: an origin's fields less what must not pass, and the gateway's own pages.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <span>

#include "gateway/http/page.h"
#include "gateway/http2/body.h"
#include "gateway/http2/field.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h2 {

// Alt-Svc is left out, since other ways to the origin are closed.
[[nodiscard]] http2::Fields forwarded_response(const http2::Fields& head);
// From HTTP/1: names in lower case, nothing that concerns its connection alone (RFC 9113 section 8.2.2).
[[nodiscard]] http2::Fields forwarded_response(const sniffer::ResponseHead& head);
// Less what concerns one connection alone (RFC 9110 section 7.6.1), Connection says what else that is; and less
// Alt-Svc.
[[nodiscard]] http2::Fields end_to_end_fields(std::span<const sniffer::HeaderField> fields);
[[nodiscard]] http2::Field lower_case(const sniffer::HeaderField& field);

[[nodiscard]] http2::Fields page_head(const Page& page);
[[nodiscard]] std::shared_ptr<http2::Body> page_body(const Page& page, std::shared_ptr<net::ClientBuffers> buffers);
// The page for a client of gRPC, which shows nothing but a status and a message of its own: a head without a body
// ("Trailers-Only" of the gRPC protocol, with status 200, as clients read no message beside another one).
[[nodiscard]] http2::Fields grpc_head(const Page& page);

}  // namespace soleroute::gateway::http::h2
