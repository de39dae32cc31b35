// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/web_ports.h"
#include "gateway/http/page.h"
#include "sniffer/http1_head.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h2 {
namespace {

// application/grpc, with what may follow it: "+proto", ";charset". Not application/grpc-web, whose status is in a body.
bool is_grpc(std::string_view content_type) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!content_type.starts_with(kGrpc)) return false;
  const auto rest = content_type.substr(kGrpc.size());
  return rest.empty() || rest.front() == '+' || rest.front() == ';';
}

using http2::Field;
using http2::Fields;
namespace text = sniffer::http1;

std::unexpected<Fault> fault(int status, std::string_view what) {
  const bool large = status == 414 || status == 431;
  return std::unexpected(Fault{status, large ? policy::Reason::kTooLarge : policy::Reason::kMalformed, what});
}

std::optional<Fault> unfit_method(const Request& request) {
  const auto& method = request.method;
  if (!text::is_token(method)) return fault(400, "not a method").error();
  if (method.size() > sniffer::kMaxMethodLength) return fault(501, "a method too long").error();
  if (text::is_one_of(method, {"trace", "track", "connect"})) return fault(405, "this method is not forwarded").error();
  return std::nullopt;
}

std::optional<Fault> unfit_path(const Request& request) {
  const auto& path = request.path;
  if (path.size() > sniffer::kMaxRequestLine) return fault(414, "a target too long").error();
  const bool asterisk = path == "*" && request.method == "OPTIONS";
  if (!asterisk && !path.starts_with('/')) return fault(400, "the target is not a path").error();
  if (!std::ranges::all_of(path, text::is_target_char)) return fault(400, "a malformed target").error();
  return std::nullopt;
}

std::optional<Fault> read_authority(Request& request, std::uint16_t port) {
  const auto authority = sniffer::parse_authority(request.authority);
  if (!authority.complete()) return fault(400, "a malformed authority").error();
  const auto& parsed = authority.value();
  if (parsed.port.value_or(port) != port) {
    return fault(400, "the authority names another port than the connection's").error();
  }
  request.host = parsed.host;
  request.host_text = parsed.text;
  return std::nullopt;
}

// RFC 8441 section 5 leaves RFC 6455's version as it is; there are no keys over HTTP/2.
bool names_websocket_version(const Fields& fields) {
  constexpr std::string_view kVersionName = "sec-websocket-version";
  const auto is_version = [kVersionName](const Field& field) { return field.name == kVersionName; };
  const Field* const version = http2::find(fields, kVersionName);
  return version != nullptr && version->value == "13" && std::ranges::count_if(fields, is_version) == 1;
}

// Spoken to a proxy, or about this connection alone.
bool is_hop_by_hop(std::string_view name) {
  return name.starts_with("proxy-") || name == "http2-settings";
}

}  // namespace

std::expected<Request, Fault> read_request(Fields head, std::uint16_t port) {
  Request request;
  std::string protocol;
  std::string scheme;
  std::optional<std::string> authority;
  std::optional<std::string> host;
  AcceptedTypes accepted;
  for (auto& field : head) {
    if (field.name == ":method") {
      request.method = std::move(field.value);
    } else if (field.name == ":path") {
      request.path = std::move(field.value);
    } else if (field.name == ":scheme") {
      scheme = std::move(field.value);
    } else if (field.name == ":authority") {
      authority = std::move(field.value);
    } else if (field.name == ":protocol") {
      protocol = std::move(field.value);
    } else if (field.name == "host") {
      host = std::move(field.value);
    } else {
      if (field.name == "accept") accepted.see(field.value);
      if (field.name == "content-type") request.grpc = is_grpc(field.value);
      request.fields.push_back(std::move(field));
    }
  }
  request.wants_json = accepted.prefers_json();
  request.authority = authority ? *authority : host.value_or("");
  if (const auto wrong = read_authority(request, port)) return std::unexpected(*wrong);
  if (authority && host && *authority != *host) return fault(400, ":authority and host differ");
  request.websocket = request.method == "CONNECT" && protocol == "websocket";
  if (request.websocket) request.method = "GET";
  if (request.websocket && !names_websocket_version(request.fields)) {
    return fault(400, "a WebSocket of another version than 13");
  }
  if (const auto wrong = unfit_method(request)) return std::unexpected(*wrong);
  if (scheme != "https") return fault(400, "another scheme than the connection's");
  if (const auto wrong = unfit_path(request)) return std::unexpected(*wrong);
  const Field* const expect = http2::find(request.fields, "expect");
  if (expect != nullptr && !text::same_ignoring_case(expect->value, "100-continue")) {
    return fault(417, "an expectation that is not 100-continue");
  }
  request.may_repeat = text::is_idempotent(request.method) && !request.websocket;
  return request;
}

Fields forwarded_fields(const Request& request) {
  Fields out;
  out.reserve(request.fields.size() + 5);
  for (const auto& field : request.fields) {
    if (!is_hop_by_hop(field.name)) out.push_back(field);
  }
  return out;
}

Fields head_of(const Request& request) {
  Fields out{{":method", request.websocket ? "CONNECT" : request.method},
             {":scheme", "https"},
             {":authority", request.authority},
             {":path", request.path}};
  if (request.websocket) out.push_back({":protocol", "websocket"});
  for (auto& field : forwarded_fields(request)) out.push_back(std::move(field));
  return out;
}

std::optional<std::string> http1_head(const Request& request, Http1Body body) {
  std::string out = request.method + " " + request.path + " HTTP/1.1\r\nhost: " + request.authority + "\r\n";
  std::string cookies;  // crumbs are one field over HTTP/1 (RFC 9113 section 8.2.3)
  bool has_length = false;
  for (const auto& field : forwarded_fields(request)) {
    if (field.name == "te") continue;
    has_length = has_length || field.name == "content-length";
    if (field.name == "cookie") {
      cookies.append(cookies.empty() ? "" : "; ").append(field.value);
      continue;
    }
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (!cookies.empty()) out.append("cookie: ").append(cookies).append("\r\n");
  if (body == Http1Body::kChunked) out += "transfer-encoding: chunked\r\n";
  const bool says_none = body == Http1Body::kNone && !has_length;
  if (says_none && text::is_one_of(request.method, {"post", "put", "patch"})) out += "content-length: 0\r\n";
  out += "\r\n";
  // What is written must read as what was decided, also by who is strict.
  const auto read = sniffer::parse_request_head(base::as_bytes(out));
  if (!read.complete() || read.value().size != out.size()) return std::nullopt;
  const auto& head = read.value();
  const bool same = head.method == request.method && head.target == request.path && head.host == request.host;
  const bool framed = (head.framing == sniffer::BodyFraming::kNone) == (body == Http1Body::kNone) ||
                      body == Http1Body::kLength;  // of a length of nothing
  if (!same || !framed || head.upgrade != sniffer::Upgrade::kNone) return std::nullopt;
  return out;
}

}  // namespace soleroute::gateway::http::h2
