// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string_view>

#include "base/byte_reader.h"
#include "base/port_range.h"
#include "base/web_ports.h"
#include "gateway/flow/policy_in_force.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/h1/session.h"
#include "gateway/http/page.h"
#include "gateway/ingress/denied_port.h"
#include "gateway/ingress/entrances.h"
#include "gateway/ingress/first_bytes.h"
#include "gateway/ingress/held_connection.h"
#include "sniffer/http1_head.h"
#include "sniffer/protocol_guess.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;
using sniffer::Protocol;

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

// The name that the client looked up, for connections that name none.
std::string looked_up(const flow::Context& context, const flow::ClientConnection& client) {
  const auto name = context.names.looked_up_as(client.peer.address, client.original_destination.address);
  return name ? name->text() : "";
}

// HTTP/2 without TLS and without asking first: its client reads no page, but shows why a connection ends.
asio::awaitable<void> refuse_http2_in_clear(flow::Context& context, flow::ClientConnection client) {
  constexpr std::string_view kWhy = "Blocked by proxy policy: HTTP/2 without TLS is not read. Use HTTP/1.1 or https.";
  constexpr std::size_t kFrameHead = 9;  // RFC 9113 section 4.1
  constexpr char kSettings = 0x4;
  constexpr char kGoaway = 0x7;
  constexpr char kHttp11Required = 0xd;
  const flow::Refusal refusal{.phase = policy::Phase::kHttp,
                              .reason = Reason::kMalformed,
                              .host = looked_up(context, client),
                              .detail = "HTTP/2 in clear"};
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

asio::awaitable<void> serve_http(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read) {
  const auto session =
      std::make_unique<http::h1::Session>(context, std::move(client), std::move(read), http::h1::Entrance::kRedirected);
  co_await session->run();
}

// HTTP and TLS get the page that names the port; everything else is reset. Nothing is dialled whatever a reload says
// meanwhile.
asio::awaitable<flow::TunnelPtr> serve_denied_port(flow::Context& context, flow::ClientConnection client,
                                                   flow::ReadAhead read) {
  client.stream->expires_after(kPatience);
  FirstBytes first = co_await first_bytes(*client.stream, std::move(read));
  client.stream->expires_after(flow::kFirstBytesTimeout);
  if (first.protocol == Protocol::kTls) co_return co_await serve_tls(context, std::move(client), std::move(first.read));
  if (first.protocol == Protocol::kHttp1) {
    co_await serve_http(context, std::move(client), std::move(first.read));
    co_return nullptr;
  }
  flow::log_refusal(context, client, denied_port_refusal(context, client));
  client.stream->reset();
  co_return nullptr;
}

// Whether its first bytes decide what becomes of a connection. Else its destination does, as one of the `endpoints:`.
bool is_decided_by_bytes(const flow::Context& context, const flow::ClientConnection& client) {
  const std::uint16_t port = client.original_destination.port;
  const flow::PolicyView& view = context.view_for(client.peer.address);
  if (!base::is_web_port(port) && !base::contains(view.domain_ports, port)) return false;
  if (!client.destination() || (base::is_web_port(port) && !view.web_port_endpoints)) return true;
  if (!is_endpoint(context, client)) return true;
  return is_endpoint_by_name(context, client) && (base::is_web_port(port) || is_shared_with_domain(context, client));
}

// Neither HTTP nor TLS, or nothing at all: an endpoint may still take it.
bool is_left_to_endpoints(const flow::Context& context, const flow::ClientConnection& client) {
  if (!client.destination()) return false;
  if (!base::is_web_port(client.original_destination.port)) return true;
  return context.view_for(client.peer.address).web_port_endpoints && is_endpoint_by_name(context, client);
}

void refuse_other_protocol(flow::Context& context, flow::ClientConnection& client, const flow::ReadAhead& read) {
  flow::Refusal refusal{.phase = policy::Phase::kTls, .reason = Reason::kMalformed, .host = looked_up(context, client)};
  const bool ssh = base::as_text(read).starts_with("SSH-");
  refusal.detail =
      ssh ? fmt::format("SSH: to allow it, list the host under endpoints with 'port: {}' and 'protocol: tcp'",
                        client.original_destination.port)
          : "neither TLS nor HTTP";
  flow::log_refusal(context, client, refusal);
  client.stream->reset();
}

asio::awaitable<void> refuse_first_bytes(flow::Context& context, flow::ClientConnection client, FirstBytes first) {
  if (first.protocol == Protocol::kHttp1) {
    co_await refuse_clear_text(context, std::move(client), std::move(first.read));
  } else if (first.protocol == Protocol::kTls) {
    refuse_and_reset(context, client, Reason::kMalformed, "TLS on port 80");
  } else if (first.protocol == Protocol::kHttp2Preface) {
    co_await refuse_http2_in_clear(context, std::move(client));
  } else if (first.protocol == Protocol::kOther) {
    refuse_other_protocol(context, client, first.read);
  } else if (first.late) {
    refuse_and_reset(context, client, Reason::kTimedOut,
                     first.read.empty() ? "nothing was sent" : "too few bytes to detect the protocol");
  } else if (!first.read.empty()) {
    refuse_and_reset(context, client, Reason::kMalformed, "closed before the protocol was detected");
  }
}

}  // namespace

asio::awaitable<flow::TunnelPtr> serve_transparent(flow::Context& context, flow::ClientConnection client,
                                                   flow::ReadAhead read) {
  if (leads_to_denied_port(context, client) && !is_endpoint(context, client)) {
    const policy::Decision denied{.reason = Reason::kEndpointNotAllowed};
    if (may_be_held(context, client, denied)) co_await ask_about_port(context, client);
  }
  if (leads_to_denied_port(context, client) && !is_endpoint(context, client)) {
    co_return co_await serve_denied_port(context, std::move(client), std::move(read));
  }
  if (!is_decided_by_bytes(context, client)) {
    co_return co_await serve_endpoint(context, std::move(client), std::move(read));
  }
  const std::uint16_t port = client.original_destination.port;
  const bool endpoint = is_left_to_endpoints(context, client);
  FirstBytes first = co_await awaited_first_bytes(context, *client.stream, std::move(read), endpoint);
  if (first.protocol == Protocol::kTls && port != base::kHttpPort) {
    co_return co_await serve_tls(context, std::move(client), std::move(first.read));
  }
  if (first.protocol == Protocol::kHttp1 && port != base::kHttpsPort) {
    co_await serve_http(context, std::move(client), std::move(first.read));
    co_return nullptr;
  }
  if (endpoint && (first.is_other() || first.is_silence())) {
    client.stream->never_expires();  // dialling has its own time
    co_return co_await serve_endpoint(context, std::move(client), std::move(first.read));
  }
  co_await refuse_first_bytes(context, std::move(client), std::move(first));
  co_return nullptr;
}

asio::awaitable<void> serve_redirected(flow::Context& context, flow::ClientConnection client) {
  flow::ReadAhead read;
  auto tunnel = co_await serve_transparent(context, std::move(client), std::move(read));
  co_await flow::run_tunnel(context, std::move(tunnel));
}

}  // namespace soleroute::gateway::ingress
