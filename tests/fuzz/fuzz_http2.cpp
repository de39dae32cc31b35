// The HTTP/2 bridge: any bytes of a client into a server session, each request that comes out read, written to an
// origin of either version, and read there: it must be the request that was decided. Nothing may grow without bound.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/h2/request.h"
#include "gateway/http2/session.h"
#include "tests/fuzz/http2_sessions.h"
#include "tests/fuzz/require.h"
#include "tests/support/http2_wire.h"

namespace {

using namespace soleroute;
using fuzz::carry;
using fuzz::kAll;
using fuzz::kNow;
using fuzz::require;
using gateway::http::h2::Http1Body;
using gateway::http::h2::Request;
using gateway::http2::Role;
using gateway::http2::Session;
using gateway::http2::Stream;

// nghttp2 keeps short cookies out of compression tables of its own accord (RFC 7541 section 7.1.3): that is no change.
bool same_fields(const gateway::http2::Fields& sent, const gateway::http2::Fields& read) {
  return std::ranges::equal(sent, read, [](const auto& one, const auto& other) {
    return one.name == other.name && one.value == other.value && (!one.sensitive || other.sensitive);
  });
}

// What an origin of HTTP/2 sees of it.
void require_same_over_http2(const Request& request) {
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
  if (seen.empty()) return;  // refused there as well: too large once more fields are in it
  const auto read = gateway::http::h2::read_request(seen[0]->head(), 443);
  require(read.has_value());
  require(read->method == request.method && read->path == request.path && read->host == request.host);
  require(read->websocket == request.websocket);
  require(same_fields(gateway::http::h2::forwarded_fields(request), read->fields));
}

void look_at(const gateway::http2::Fields& head) {
  const auto request = gateway::http::h2::read_request(head, 443);
  if (!request) return;
  require(request->path == "*" || request->path.starts_with('/'));
  for (const auto coding : {Http1Body::kNone, Http1Body::kChunked}) {
    const auto text = gateway::http::h2::http1_head(*request, coding);
    if (text) require(text->starts_with(request->method + " " + request->path + " HTTP/1.1\r\n"));
  }
  require_same_over_http2(*request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = 1 + data[0];  // how the bytes are cut
  const std::string bytes =
      test::h2::opening() + std::string(base::as_text(std::as_bytes(std::span(data, size)).subspan(1)));
  int looked_at = 0;
  Session::Events events;
  events.request = [&looked_at](const std::shared_ptr<Stream>& stream) {
    if (!stream->head_too_large() && ++looked_at <= 8) look_at(stream->head());
    stream->respond({{":status", "403"}}, nullptr);
  };
  Session server(Role::kServer, std::move(events));
  std::string out;
  bool going = true;
  for (std::size_t at = 0; at < bytes.size() && going; at += step) {
    const auto received = server.receive(base::as_bytes(std::string_view(bytes).substr(at, step)), kNow);
    going = received == Session::Received::kSound;
    server.collect(out, kAll);
    require(server.open_streams() <= gateway::http2::kMaxStreams);
  }
  require(going || server.over());
  require(out.size() <= 4096 + 128 * bytes.size());  // a client cannot make the gateway say much
  server.disconnected();
  require(server.open_streams() == 0);
  return 0;
}
