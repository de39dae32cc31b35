// The bridge from HTTP/1.1 to HTTP/2: a request that the gateway takes must be the same one where the origin reads it,
// with nothing that concerns one connection alone; an answer's head must survive the way back.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/h2/http1_over_http2.h"
#include "gateway/http/h2/http1_over_http2_heads.h"
#include "gateway/http/h2/response.h"
#include "gateway/http2/session.h"
#include "tests/fuzz/http2_sessions.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::carry;
using fuzz::require;
using gateway::http2::Role;
using gateway::http2::Session;
using gateway::http2::Stream;

void look_at_request(base::Bytes bytes) {
  const auto parsed = sniffer::parse_request_head(bytes);
  if (!parsed.complete()) return;
  const auto& head = parsed.value();
  if (head.form == sniffer::TargetForm::kAuthority) return;  // a CONNECT, which no inspected connection forwards
  const auto request = gateway::http::h2::http2_request(head);
  std::vector<std::shared_ptr<Stream>> seen;
  Session::Events events;
  events.request = [&seen](std::shared_ptr<Stream> stream) { seen.push_back(std::move(stream)); };
  Session origin(Role::kServer, std::move(events));
  Session client(Role::kClient, {});
  origin.offer_websockets();
  carry(origin, client);
  carry(client, origin);
  const auto asked = client.request(gateway::http::h2::head_of(request), nullptr);
  carry(client, origin);
  require(seen.size() <= 1);
  if (seen.empty()) return;  // no request of HTTP/2: refused, not changed
  const auto read = gateway::http::h2::read_request(seen[0]->head(), 443);
  if (!read) return;
  require(read->method == head.method && read->path == sniffer::origin_form(head));
  require(read->websocket == (head.upgrade == sniffer::Upgrade::kWebSocket));
  if (head.form != sniffer::TargetForm::kAbsolute) require(read->host == head.host);
  for (const auto& field : read->fields) {
    require(field.sensitive);
    for (const char* const never : {"connection", "transfer-encoding", "upgrade", "keep-alive", "te", "host"}) {
      require(field.name != never && !field.name.starts_with("proxy-"));
    }
  }
}

void look_at_answer(base::Bytes bytes) {
  const auto parsed = sniffer::parse_response_head(bytes, "HEAD");
  if (!parsed.complete()) return;
  const auto fields = gateway::http::h2::forwarded_response(parsed.value());
  const std::string text = gateway::http::h2::http1_answer_head(fields, {});
  const auto read = sniffer::parse_response_head(base::as_bytes(text), "HEAD");
  if (!read.complete()) return;  // refused there: a head that has become too large, or a 101 that switches to nothing
  require(read.value().status == parsed.value().status && read.value().size == text.size());
  require(gateway::http::h2::forwarded_response(read.value()) == fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  look_at_request(bytes);
  look_at_answer(bytes);
  return 0;
}
