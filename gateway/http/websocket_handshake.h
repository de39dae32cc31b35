// What a client offers in a WebSocket handshake, and whether an answer is one to it (RFC 6455 section 4, RFC 8441
// section 5): only then are bytes relayed unread.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/http2/field.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http {

struct WebSocketOffer {
  std::string accept;                   // what answers its key; HTTP/2 has no keys
  std::vector<std::string> protocols;   // in its own case
  std::vector<std::string> extensions;  // the names alone, in lower case
};

// Precondition: one that may be granted (sniffer::Upgrade::kWebSocket).
[[nodiscard]] WebSocketOffer websocket_offer(const sniffer::RequestHead& request);
[[nodiscard]] WebSocketOffer websocket_offer(const http2::Fields& request);

// Why this is no answer to the offer; empty: it is. Of a 101, and of a 2xx over HTTP/2.
[[nodiscard]] std::string_view websocket_fault(const WebSocketOffer& offer, const sniffer::ResponseHead& answer);
[[nodiscard]] std::string_view websocket_fault(const WebSocketOffer& offer, const http2::Fields& answer);

// RFC 6455 section 4.2.2: what a client of HTTP/1.1 wants to read for its key.
[[nodiscard]] std::string websocket_accept(std::string_view key);

}  // namespace soleroute::gateway::http
