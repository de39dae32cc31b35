// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <optional>
#include <string_view>

#include "base/byte_reader.h"
#include "base/web_ports.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/h1/session.h"
#include "gateway/http/page.h"
#include "gateway/ingress/denied_port.h"
#include "gateway/ingress/entrances.h"
#include "sniffer/http1_head.h"
#include "sniffer/protocol_guess.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;
using sniffer::Protocol;

constexpr std::size_t kFirstRead = 16 << 10;

// What the bytes that are there tell, once it is more than that there should be more; nothing: wait for them.
// kNeedMore: the client went away.
std::optional<Protocol> first_bytes(net::Stream& stream, flow::ReadAhead& read) {
  thread_local std::array<std::byte, kFirstRead> buffer;
  for (;;) {
    const auto count = stream.try_read_some(buffer);
    if (count.would_block()) return std::nullopt;
    if (!count.has_bytes()) return Protocol::kNeedMore;
    read.insert(read.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count.count()));
    const Protocol guess = sniffer::guess_protocol(read);
    if (guess != Protocol::kNeedMore) return guess;
  }
}

// HTTP in clear on the port of HTTPS: named in the log as far as it can be read, and told so.
asio::awaitable<void> refuse_clear_text(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read) {
  constexpr std::string_view kFault = "port 443 expects TLS: use https://, or http:// for plain HTTP";
  flow::Refusal refusal{
      .phase = policy::Phase::kHttp, .reason = Reason::kMalformed, .detail = "plain HTTP on port 443", .status = 400};
  const auto head = sniffer::parse_request_head(read);
  if (head.complete() && head.value().host) refusal.host = head.value().host->text();
  flow::log_refusal(context, client, refusal);
  const bool json = head.complete() && http::wants_json(head.value());
  const auto page = http::fault_page(400, refusal.reason, kFault, json ? http::BodyForm::kJson : http::BodyForm::kText);
  const bool to_head = head.complete() && head.value().method == "HEAD";
  co_await flow::send_and_close(*client.stream, http::render(page, to_head, true));
}

// HTTP/2 without TLS and without asking first: its client reads no page, but shows why a connection ends.
asio::awaitable<void> refuse_http2_in_clear(flow::Context& context, flow::ClientConnection client) {
  constexpr std::string_view kWhy =
      "Blocked by proxy policy: HTTP/2 without TLS is not supported. Use HTTP/1.1, or https.";
  constexpr std::size_t kFrameHead = 9;  // RFC 9113 section 4.1
  constexpr char kSettings = 0x4;
  constexpr char kGoaway = 0x7;
  constexpr char kHttp11Required = 0xd;
  const flow::Refusal refusal{.phase = policy::Phase::kHttp, .reason = Reason::kMalformed, .detail = "HTTP/2 in clear"};
  flow::log_refusal(context, client, refusal);
  std::string frames(kFrameHead, '\0');
  frames[3] = kSettings;
  std::string goaway(kFrameHead + 8, '\0');  // no stream was taken
  goaway[2] = static_cast<char>(8 + kWhy.size());
  goaway[3] = kGoaway;
  goaway[kFrameHead + 7] = kHttp11Required;
  frames.append(goaway).append(kWhy);
  co_await flow::send_and_close(*client.stream, std::move(frames));
}

void refuse_and_reset(flow::Context& context, flow::ClientConnection& client, Reason reason, std::string detail) {
  const flow::Refusal refusal{.phase = policy::Phase::kTls, .reason = reason, .detail = std::move(detail)};
  flow::log_refusal(context, client, refusal);
  client.stream->reset();
}

// The protocol of the first bytes, under the deadline of the stream; kNeedMore: the client went away or is silent.
asio::awaitable<Protocol> told_protocol(net::Stream& stream, flow::ReadAhead& read) {
  std::optional<Protocol> told;
  if (!read.empty()) told = sniffer::guess_protocol(read);
  if (!told || *told == Protocol::kNeedMore) told = first_bytes(stream, read);
  while (!told) {
    const auto readable = co_await stream.wait_readable();
    told = readable ? first_bytes(stream, read) : Protocol::kNeedMore;
  }
  co_return *told;
}

asio::awaitable<void> serve_http(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read) {
  const auto session =
      std::make_unique<http::h1::Session>(context, std::move(client), std::move(read), http::h1::Entrance::kRedirected);
  co_await session->run();
}

// HTTP and TLS get the page that names the port; everything else is reset. Nothing is dialled whatever a reload says
// meanwhile.
asio::awaitable<flow::TunnelPtr> serve_denied_port(flow::Context& context, flow::ClientConnection client) {
  flow::ReadAhead read;
  client.stream->expires_after(kDeniedPortPatience);
  const Protocol protocol = co_await told_protocol(*client.stream, read);
  client.stream->expires_after(flow::kFirstBytesTimeout);
  if (protocol == Protocol::kTls) co_return co_await serve_tls(context, std::move(client), std::move(read));
  if (protocol == Protocol::kHttp1) {
    co_await serve_http(context, std::move(client), std::move(read));
    co_return nullptr;
  }
  flow::log_refusal(context, client, denied_port_refusal(context, client));
  client.stream->reset();
  co_return nullptr;
}

// Bytes that were sent before the connection was granted are replayed nowhere else.
bool is_unread_endpoint(flow::Context& context, const flow::ClientConnection& client, const flow::ReadAhead& read) {
  return read.empty() && client.destination() && is_endpoint(context, client);
}

}  // namespace

asio::awaitable<flow::TunnelPtr> serve_transparent(flow::Context& context, flow::ClientConnection client,
                                                   flow::ReadAhead read) {
  const std::uint16_t port = client.original_destination.port;
  const bool web = base::is_web_port(port);
  if (leads_to_denied_port(context, client) && !is_endpoint(context, client)) {
    co_return co_await serve_denied_port(context, std::move(client));
  }
  if (!web || (context.web_port_endpoints && is_unread_endpoint(context, client, read))) {
    co_return co_await serve_endpoint(context, std::move(client));
  }
  client.stream->expires_after(flow::kFirstBytesTimeout);
  const Protocol protocol = co_await told_protocol(*client.stream, read);
  if (protocol == Protocol::kTls && port == base::kHttpsPort) {
    co_return co_await serve_tls(context, std::move(client), std::move(read));
  }
  if (protocol == Protocol::kHttp1 && port == base::kHttpPort) {
    co_await serve_http(context, std::move(client), std::move(read));
  } else if (protocol == Protocol::kHttp1) {
    co_await refuse_clear_text(context, std::move(client), std::move(read));
  } else if (protocol == Protocol::kTls) {
    refuse_and_reset(context, client, Reason::kMalformed, "TLS on port 80");
  } else if (protocol == Protocol::kHttp2Preface) {
    co_await refuse_http2_in_clear(context, std::move(client));
  } else if (protocol == Protocol::kOther) {
    refuse_and_reset(context, client, Reason::kMalformed, "neither TLS nor HTTP");
  } else if (client.stream->timed_out()) {
    refuse_and_reset(context, client, Reason::kTimedOut,
                     read.empty() ? "nothing was sent" : "too few bytes to detect the protocol");
  } else if (!read.empty()) {
    refuse_and_reset(context, client, Reason::kMalformed, "closed before the protocol was detected");
  }
  co_return nullptr;
}

asio::awaitable<void> serve_redirected(flow::Context& context, flow::ClientConnection client) {
  flow::ReadAhead read;
  auto tunnel = co_await serve_transparent(context, std::move(client), std::move(read));
  co_await flow::run_tunnel(context, std::move(tunnel));
}

}  // namespace soleroute::gateway::ingress
