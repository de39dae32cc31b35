// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>

#include "base/web_ports.h"
#include "sniffer/http1_fields.h"
#include "sniffer/http1_head.h"
#include "sniffer/http1_text.h"

namespace soleroute::sniffer {
namespace {

using http1::fault;
using http1::same_ignoring_case;
using http1::Semantics;
using Checked = std::expected<void, Malformed>;

// RFC 9112 section 2.3: "HTTP/1.1". A version that is well-formed but unknown is answered 505.
Checked read_version(std::string_view text, RequestHead& head) {
  head.http11 = text == "HTTP/1.1";
  if (head.http11 || text == "HTTP/1.0") return {};
  const bool known_shape = text.size() == 8 && text.starts_with("HTTP/") && http1::is_digit(text[5]) &&
                           text[6] == '.' && http1::is_digit(text[7]);
  return known_shape ? fault("an HTTP version other than 1.0 and 1.1", 505) : fault("a malformed request line");
}

Checked read_request_line(std::string_view line, RequestHead& head) {
  const auto first = line.find(' ');
  head.method = line.substr(0, first);
  if (!http1::is_token(head.method)) return fault("a method that is not a token");
  if (head.method.size() > kMaxMethodLength) return fault("a method longer than any known", 501);
  if (first == std::string_view::npos) return fault("a malformed request line");
  const auto rest = line.substr(first + 1);
  const auto second = rest.find(' ');
  if (second == std::string_view::npos) return fault("a request line without a version");
  head.target = rest.substr(0, second);
  if (head.target.empty()) return fault("a malformed request line");
  if (!std::ranges::all_of(head.target, http1::is_target_char)) return fault("a request target with a wrong character");
  return read_version(rest.substr(second + 1), head);
}

// The last label is a number in a spelling that inet_aton() knows: an address to some readers.
bool is_numeric(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  const auto label = host.substr(host.rfind('.') + 1);
  if (label.empty()) return false;
  if (std::ranges::all_of(label, http1::is_digit)) return true;
  if (!label.starts_with("0x") && !label.starts_with("0X")) return false;
  return std::ranges::all_of(
      label.substr(2), [](char c) { return http1::is_digit(c) || (http1::lower(c) >= 'a' && http1::lower(c) <= 'f'); });
}

std::expected<std::uint16_t, Malformed> read_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  const bool digits = !text.empty() && text.front() != '0' && std::ranges::all_of(text, http1::is_digit);
  if (!digits || error != std::errc{} || stop != end) return fault("a malformed port");
  return port;
}

std::expected<Authority, Malformed> read_bracketed(std::string_view text) {
  const auto end = text.find(']');
  if (end == std::string_view::npos) return fault("a malformed address in brackets");
  Authority authority;
  authority.text = text.substr(1, end - 1);
  const auto address = base::IpAddress::parse(authority.text);
  if (!address || !address->is_v6()) return fault("a malformed address in brackets");
  authority.address = *address;
  const auto rest = text.substr(end + 1);
  if (rest.empty()) return authority;
  if (rest.front() != ':') return fault("a malformed host");
  SR_LET(port, read_port(rest.substr(1)));
  authority.port = *port;
  return authority;
}

std::expected<Authority, Malformed> read_authority(std::string_view text) {
  if (text.starts_with('[')) return read_bracketed(text);
  Authority authority;
  const auto colon = text.find(':');
  authority.text = text.substr(0, colon);
  const bool charset = std::ranges::all_of(
      authority.text, [](char c) { return http1::is_alnum(c) || c == '.' || c == '-' || c == '_'; });
  if (authority.text.empty() || !charset) return fault("a malformed host");
  if (colon != std::string_view::npos) {
    SR_LET(port, read_port(text.substr(colon + 1)));
    authority.port = *port;
  }
  auto host = base::HostName::parse(authority.text);
  if (host) {
    authority.host = std::move(*host);
    return authority;
  }
  if (!is_numeric(authority.text)) return fault("a malformed host");
  if (const auto address = base::IpAddress::parse(authority.text)) authority.address = *address;
  return authority;
}

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";

bool has_scheme(std::string_view target, std::string_view scheme) {
  return same_ignoring_case(target.substr(0, scheme.size()), scheme);
}

// The authority part of an absolute-form target; the scheme has been checked.
std::string_view authority_of(std::string_view target) {
  const auto rest = target.substr(has_scheme(target, kHttps) ? kHttps.size() : kHttp.size());
  return rest.substr(0, rest.find_first_of("/?"));
}

// RFC 9112 section 3.2. The authority that the target itself names, if it does.
std::expected<std::optional<Authority>, Malformed> read_target(RequestHead& head) {
  const auto target = head.target;
  if (same_ignoring_case(head.method, "connect")) {
    head.form = TargetForm::kAuthority;
    SR_LET(authority, read_authority(target));
    if (!authority->port) return fault("CONNECT without a port");
    return std::move(*authority);
  }
  if (target.starts_with('/')) {
    head.form = TargetForm::kOrigin;
    return std::nullopt;
  }
  if (target == "*") {
    head.form = TargetForm::kAsterisk;
    if (head.method != "OPTIONS") return fault("the target * with a method other than OPTIONS");
    return std::nullopt;
  }
  head.form = TargetForm::kAbsolute;
  head.secure = has_scheme(target, kHttps);
  if (!head.secure && !has_scheme(target, kHttp)) {
    return fault("a request target that is neither a path nor an http URL");
  }
  SR_LET(authority, read_authority(authority_of(target)));
  return std::move(*authority);
}

bool same_host(const Authority& target, const Authority& host) {
  if (target.host || host.host) return target.host == host.host;
  if (target.address || host.address) return target.address == host.address;
  return target.text == host.text;
}

bool same_port(const Authority& target, const Authority& host, const RequestHead& head) {
  if (head.form == TargetForm::kAuthority) return !host.port || host.port == target.port;
  const auto default_port = head.secure ? base::kHttpsPort : base::kHttpPort;
  return target.port.value_or(default_port) == host.port.value_or(default_port);
}

// RFC 9112 section 3.2: exactly one Host on 1.1; on 1.0 none is enough if the target says where to.
Checked read_host(RequestHead& head, const Semantics& semantics, std::optional<Authority> named) {
  if (semantics.hosts > 1) return fault("more than one Host header");
  if (semantics.hosts == 0 && (head.http11 || !named)) return fault("no Host");
  std::optional<Authority> host;
  if (semantics.hosts == 1) {
    SR_LET(read, read_authority(semantics.host));
    host = std::move(*read);
  }
  head.host_differs = named && host && !(same_host(*named, *host) && same_port(*named, *host, head));
  Authority& authority = named ? *named : *host;
  head.authority_text = authority.text;
  head.host = std::move(authority.host);
  head.host_address = authority.address;
  head.port = authority.port;
  return {};
}

// In base64. Origins judge whether it is sixteen bytes (RFC 6455 section 4.2.1): copied keys of fewer are about, and
// the tunnel opens for the answer to this very key alone.
bool is_websocket_key(std::string_view key) {
  constexpr std::size_t kMaxKey = 64;
  const auto digits = key.substr(0, key.find('='));
  const bool padded = key.size() - digits.size() <= 2 && key.find_first_not_of('=', digits.size()) == key.npos;
  if (digits.empty() || key.size() > kMaxKey || !padded) return false;
  return std::ranges::all_of(digits, [](char c) { return http1::is_alnum(c) || c == '+' || c == '/'; });
}

Upgrade upgrade_of(const RequestHead& head, const Semantics& semantics) {
  if (semantics.upgrades == 0) return Upgrade::kNone;
  const bool handshake = semantics.websocket_keys == 1 && is_websocket_key(semantics.websocket_key) &&
                         semantics.websocket_versions == 1 && semantics.websocket_version == "13";
  const bool may_switch = semantics.websocket && handshake && semantics.connection_upgrade && head.method == "GET" &&
                          head.http11 && head.framing == BodyFraming::kNone;
  return may_switch ? Upgrade::kWebSocket : Upgrade::kOther;
}

Checked apply(RequestHead& head, const Semantics& semantics) {
  if (semantics.chunked && !head.http11) return fault("Transfer-Encoding on HTTP/1.0");
  if (semantics.chunked) head.framing = BodyFraming::kChunked;
  if (semantics.content_length.value_or(0) > 0) {
    head.framing = BodyFraming::kLength;
    head.content_length = *semantics.content_length;
  }
  head.keep_alive = !semantics.close && (head.http11 || semantics.keep_alive);
  // RFC 9110 section 10.1.1: an expectation of HTTP/1.0 is ignored.
  if (semantics.expects > 0 && head.http11) {
    head.expect_continue = semantics.expects == 1 && same_ignoring_case(semantics.expect, "100-continue");
    if (!head.expect_continue) return fault("an unknown expectation", 417);
  }
  head.upgrade = upgrade_of(head, semantics);
  if (head.upgrade == Upgrade::kWebSocket) head.websocket_key = semantics.websocket_key;
  return {};
}

std::expected<RequestHead, http1::Stop> read_request(std::string_view text) {
  const auto stopped = [](const Malformed& malformed) { return std::unexpected(http1::Stop(malformed)); };
  RequestHead head;
  // RFC 9112 section 2.2: a client may have sent one CRLF too many after its last body.
  if (text == "\r") return std::unexpected(http1::Stop(NeedMore{2}));
  if (text.starts_with("\r\n")) head.offset = 2;
  http1::LineCursor lines(text.substr(head.offset));

  SR_LET(line, lines.next(kMaxRequestLine, "the request line is too long", 414));
  if (const auto read = read_request_line(*line, head); !read) return stopped(read.error());
  auto named = read_target(head);
  if (!named) return stopped(named.error());

  SR_LET(fields, http1::read_fields(lines, kMaxHeaderFields));
  head.fields = std::move(*fields);
  head.size = head.offset + lines.position();
  const auto semantics = http1::semantics_of(head.fields, Sender::kClient);
  if (!semantics) return stopped(semantics.error());
  if (const auto read = read_host(head, *semantics, std::move(*named)); !read) return stopped(read.error());
  if (const auto applied = apply(head, *semantics); !applied) return stopped(applied.error());
  return head;
}

}  // namespace

Parsed<RequestHead> parse_request_head(base::Bytes received) {
  auto head = read_request(base::as_text(received));
  if (head) return std::move(*head);
  return std::visit([](const auto& stop) { return Parsed<RequestHead>(stop); }, head.error());
}

Parsed<Authority> parse_authority(std::string_view text) {
  auto authority = read_authority(text);
  if (authority) return std::move(*authority);
  return authority.error();
}

std::string_view target_authority(const RequestHead& head) {
  return head.form == TargetForm::kAbsolute ? authority_of(head.target) : head.authority_text;
}

std::string origin_form(const RequestHead& head) {
  if (head.form != TargetForm::kAbsolute) return std::string(head.target);
  const auto authority = authority_of(head.target);
  const auto rest = std::string_view(authority.data() + authority.size(), head.target.data() + head.target.size());
  return (rest.starts_with('/') ? "" : "/") + std::string(rest);
}

bool worth_parsing_again(base::Bytes received, std::size_t parsed_size) {
  constexpr std::size_t kMaxBeforeFields = kMaxRequestLine + 4;  // an empty line before, its own CRLF
  const auto fresh = base::as_text(received.subspan(std::min(parsed_size, received.size())));
  const auto passes = [&](std::size_t limit) { return parsed_size < limit && received.size() >= limit; };
  const bool first_look = parsed_size == 0 && !received.empty();  // what is no HTTP at all shows at once
  return first_look || fresh.contains('\n') || passes(kMaxBeforeFields) || passes(kMaxHeadBytes + 2);
}

}  // namespace soleroute::sniffer
