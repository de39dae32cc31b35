// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "sniffer/http1_fields.h"
#include "sniffer/http1_head.h"
#include "sniffer/http1_plain.h"
#include "sniffer/http1_text.h"

namespace soleroute::sniffer {
namespace {

using http1::fault;
using http1::Semantics;
using Checked = std::expected<void, Malformed>;

constexpr std::string_view kVersion = "HTTP/1.";
constexpr std::string_view kNoHttp = "not an HTTP/1 response";
constexpr std::size_t kStatusLineMin = 12;  // "HTTP/1.1 200"; the space after it is left out by some servers

// RFC 9112 section 4.
Checked read_status_line(std::string_view line, ResponseHead& head) {
  if (line.size() < kStatusLineMin || !line.starts_with(kVersion)) return fault("a malformed status line");
  const char minor = line[kVersion.size()];
  if ((minor != '0' && minor != '1') || line[8] != ' ') return fault("a malformed status line");
  head.http11 = minor == '1';
  for (const char c : line.substr(9, 3)) {
    if (!http1::is_digit(c)) return fault("a malformed status line");
    head.status = head.status * 10 + (c - '0');
  }
  // RFC 9110 section 15: clients take 600 to 999 for errors of the server, and some sites send them.
  if (head.status < 100) return fault("a status code out of range");
  const auto reason = line.substr(kStatusLineMin);
  if (!reason.empty() && reason.front() != ' ') return fault("a malformed status line");
  if (!std::ranges::all_of(reason, http1::is_value_char)) return fault("a control character in the status line");
  return {};
}

// RFC 9112 section 6.3.
Checked apply(ResponseHead& head, const Semantics& semantics, std::string_view method) {
  const bool never_a_body = head.interim() || head.status == 204;
  // Python would read chunks behind it.
  if (head.status == 304 && (semantics.chunked || semantics.coded)) return fault("a coding of no body");
  const bool encoded = semantics.chunked || semantics.coded;
  if (encoded && !head.http11) return fault("Transfer-Encoding on HTTP/1.0");
  if (never_a_body && (encoded || semantics.content_length.value_or(0) > 0)) {
    return fault("a body announced where there can be none");
  }
  head.keep_alive = !semantics.close && (head.http11 || semantics.keep_alive);
  head.keep_alive_named = semantics.keep_alive;
  head.to_websocket = head.status == 101 && semantics.connection_upgrade && semantics.upgrades == 1 &&
                      semantics.websocket && head.http11;
  if (never_a_body || head.status == 304 || method == "HEAD") return {};
  if (semantics.chunked) {
    head.framing = BodyFraming::kChunked;
  } else if (!semantics.content_length) {
    head.framing = BodyFraming::kUntilClose;
    head.coded = semantics.coded;
    head.keep_alive = false;
  } else if (*semantics.content_length > 0) {
    head.framing = BodyFraming::kLength;
    head.content_length = *semantics.content_length;
  }
  return {};
}

std::expected<ResponseHead, http1::Stop> read_response(std::string_view text, std::string_view method) {
  const auto stopped = [](const Malformed& malformed) { return std::unexpected(http1::Stop(malformed)); };
  const auto start = text.substr(0, kVersion.size());
  if (start != kVersion.substr(0, start.size())) return stopped(Malformed{kNoHttp});
  ResponseHead head;
  http1::LineCursor lines(text);
  SR_LET(line, lines.next(kMaxRequestLine, "the status line is too long", 431));
  if (const auto read = read_status_line(*line, head); !read) return stopped(read.error());
  SR_LET(fields, http1::read_fields(lines, kMaxResponseFields));
  head.fields = std::move(*fields);
  head.size = lines.position();
  const auto semantics = http1::semantics_of(head.fields, Sender::kOrigin);
  if (!semantics) return stopped(semantics.error());
  if (const auto applied = apply(head, *semantics, method); !applied) return stopped(applied.error());
  return head;
}

// A head that is refused as it stands, read once more in plain form.
std::expected<ResponseHead, http1::Stop> read_loosely(std::string_view text, std::string_view method,
                                                      const http1::Stop& refused) {
  const auto* const malformed = std::get_if<Malformed>(&refused);
  if (malformed == nullptr || malformed->too_large || !http1::may_begin_response(text)) return std::unexpected(refused);
  SR_LET(plain, http1::plain_response_head(text, method));
  const auto kept = std::make_shared<const std::string>(std::move(plain->text));
  auto head = read_response(*kept, method);
  if (!head) return head;
  head->plain = kept;
  head->size = plain->size;
  head->keep_alive = head->keep_alive && !plain->doubtful;
  return head;
}

}  // namespace

Parsed<ResponseHead> parse_response_head(base::Bytes received, std::string_view method) {
  auto head = read_response(base::as_text(received), method);
  if (!head) head = read_loosely(base::as_text(received), method, head.error());
  if (head) return std::move(*head);
  return std::visit([](const auto& stop) { return Parsed<ResponseHead>(stop); }, head.error());
}

}  // namespace soleroute::sniffer
