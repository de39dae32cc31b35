// A request that came over HTTP/2: what the policy is asked about it, and how it is written to either kind of origin.
// Pure functions; every field that is sent on goes through forwarded_fields().
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/host_name.h"
#include "gateway/http/request_flow.h"
#include "gateway/http2/field.h"
#include "policy/decision.h"

namespace soleroute::gateway::http::h2 {

struct Request {
  std::string method;     // GET for a WebSocket, as over HTTP/1 (RFC 8441 section 5)
  std::string path;       // :path, as sent
  std::string authority;  // :authority or host, as sent
  std::string host_text;  // of it, without the port
  std::optional<base::HostName> host;
  bool websocket = false;   // extended CONNECT
  bool may_repeat = false;  // idempotent (RFC 9110 section 9.2.2)
  bool wants_json = false;
  bool grpc = false;     // by its content type
  http2::Fields fields;  // the others, in order

  [[nodiscard]] bool is_head() const { return method == "HEAD"; }
};

// Beyond what nghttp2 has checked (RFC 9113 section 8): one authority, port 443, https, methods and targets that HTTP/1
// can carry as well.
[[nodiscard]] std::expected<Request, Fault> read_request(http2::Fields head, std::uint16_t port);

// The fields of an allowed request as its origin gets them, pseudo-header fields and framing aside.
[[nodiscard]] http2::Fields forwarded_fields(const Request& request);

[[nodiscard]] http2::Fields head_of(const Request& request);

enum class Http1Body : std::uint8_t { kNone, kLength, kChunked };  // kLength: the client has said it
// Nothing if it would be no request that the gateway itself would take over HTTP/1.
[[nodiscard]] std::optional<std::string> http1_head(const Request& request, Http1Body body);

}  // namespace soleroute::gateway::http::h2
