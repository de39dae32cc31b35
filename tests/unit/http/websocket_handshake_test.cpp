// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/websocket_handshake.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::gateway::http {
namespace {

// '|' stands for CRLF.
std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\r\n";
    if (c != '|') out += c;
  }
  return out;
}

// "": the answer is one to the request.
std::string fault(std::string_view offered, std::string_view answered) {
  const std::string request = wire(
      "GET / HTTP/1.1|Host: a.test|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Version: 13|"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|" +
      std::string(offered) + "|");
  const std::string answer = wire("HTTP/1.1 101 Switching Protocols|" + std::string(answered) + "|");
  const auto asked = sniffer::parse_request_head(base::as_bytes(request));
  const auto got = sniffer::parse_response_head(base::as_bytes(answer), "GET");
  if (!asked.complete() || !got.complete()) return "not HTTP";
  return std::string(websocket_fault(websocket_offer(asked.value()), got.value()));
}

constexpr std::string_view kSwitch = "Connection: Upgrade|Upgrade: websocket|";
constexpr std::string_view kAccept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=|";

// T181, C08
TEST(WebSocketHandshake, AnswersAreHeldToWhatWasOffered) {
  const std::string granted = std::string(kSwitch) + std::string(kAccept);
  const std::string deflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits|";
  struct Row {
    std::string why;
    std::string offered;
    std::string answered;
    bool right;
  };
  for (const auto& row : std::vector<Row>{
           {"the least", "", granted, true},
           {"fields in another case", "", "connection: keep-alive, upgrade|upgrade: WebSocket|" + std::string(kAccept),
            true},
           {"python websockets and node ws", deflate,
            granted + "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12|", true},
           {"an extension offered twice", "Sec-WebSocket-Extensions: a; x=1, a, b|",
            granted + "sec-websocket-extensions: B, A|", true},
           {"a protocol that was offered", "Sec-WebSocket-Protocol: chat, superchat|",
            granted + "Sec-WebSocket-Protocol: superchat|", true},
           {"in a field of its own", "Sec-WebSocket-Protocol: chat|Sec-WebSocket-Protocol: v2|",
            granted + "Sec-WebSocket-Protocol: v2|", true},
           {"none of those offered", "Sec-WebSocket-Protocol: chat|" + deflate, granted, true},
           {"no accept value", "", std::string(kSwitch), false},
           {"that of another key", "", std::string(kSwitch) + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=|",
            false},
           {"in another case", "", std::string(kSwitch) + "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=|", false},
           {"twice", "", granted + std::string(kAccept), false},
           {"no Upgrade", "", "Connection: Upgrade|" + std::string(kAccept), false},
           {"no Connection", "", "Upgrade: websocket|" + std::string(kAccept), false},
           {"another protocol to switch to", "", "Connection: Upgrade|Upgrade: h2c|" + std::string(kAccept), false},
           {"a protocol, where none was offered", "", granted + "Sec-WebSocket-Protocol: chat|", false},
           {"another protocol", "Sec-WebSocket-Protocol: chat|", granted + "Sec-WebSocket-Protocol: Chat|", false},
           {"two protocols", "Sec-WebSocket-Protocol: a, b|",
            granted + "Sec-WebSocket-Protocol: a|Sec-WebSocket-Protocol: b|", false},
           {"a list of protocols", "Sec-WebSocket-Protocol: a, b|", granted + "Sec-WebSocket-Protocol: a, b|", false},
           {"an extension, where none was offered", "", granted + deflate, false},
           {"one more than was offered", deflate, granted + "Sec-WebSocket-Extensions: permessage-deflate, x-raw|",
            false},
       }) {
    EXPECT_EQ(fault(row.offered, row.answered).empty(), row.right)
        << row.why << ": " << fault(row.offered, row.answered);
  }
}

TEST(WebSocketHandshake, OverHttp2ThereAreNoKeys) {
  const auto offer =
      websocket_offer(http2::Fields{{"sec-websocket-version", "13"}, {"sec-websocket-protocol", "chat"}});
  EXPECT_EQ(websocket_fault(offer, http2::Fields{{":status", "200"}}), "");
  EXPECT_EQ(websocket_fault(offer, http2::Fields{{":status", "200"}, {"sec-websocket-protocol", "chat"}}), "");
  EXPECT_NE(websocket_fault(offer, http2::Fields{{":status", "200"}, {"sec-websocket-protocol", "other"}}), "");
  EXPECT_NE(websocket_fault(offer, http2::Fields{{":status", "200"}, {"sec-websocket-extensions", "x"}}), "");
}

}  // namespace
}  // namespace soleroute::gateway::http
