// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/http1_fields.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "sniffer/http1_text.h"

namespace soleroute::sniffer::http1 {
namespace {

using Checked = std::expected<void, Malformed>;

constexpr std::size_t kUsualFields = 16;

// RFC 9112 section 6.2, without leading zeros and tabs, of which readers make different numbers.
Checked read_content_length(const HeaderField& field, Semantics& out) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (out.content_length) return fault("Content-Length occurs twice");
  if (field.value.empty() || field.line.contains('\t')) return fault("Content-Length is not a number");
  if (field.value.size() > 1 && field.value.front() == '0') return fault("Content-Length has leading zeros");
  std::uint64_t length = 0;
  for (const char c : field.value) {
    if (!is_digit(c)) return fault("Content-Length is not a number");
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (kMax - digit) / 10) return fault("Content-Length is out of range");
    length = length * 10 + digit;
  }
  out.content_length = length;
  return {};
}

bool names_chunked(std::string_view value) {
  std::string lowered(value);
  std::ranges::transform(lowered, lowered.begin(), lower);
  return lowered.contains("chunked");
}

// RFC 9112 section 6.1: `chunked` alone. Other codings of a client are refused, since an origin might not know them
// either. An answer in another coding ends with its connection (section 6.3).
Checked read_transfer_encoding(const HeaderField& field, Sender sender, Semantics& out) {
  const bool coded_before = std::exchange(out.coded, false);
  if (out.chunked) return fault("Transfer-Encoding occurs twice");
  // Python takes "chunked " for a coding of its own.
  const bool blank_behind = sender == Sender::kOrigin && field.line.ends_with(" \r\n");
  if (blank_behind || field.line.contains('\t')) return fault("Transfer-Encoding is not plainly written");
  if (same_ignoring_case(field.value, "chunked")) {
    out.chunked = true;
    return coded_before ? fault("Transfer-Encoding occurs twice") : Checked{};
  }
  bool tokens = true;
  std::size_t chunked = 0;
  std::size_t identity = 0;
  std::string_view last;
  for_each_element(field.value, [&](std::string_view element) {
    tokens = tokens && is_token(element);
    chunked += same_ignoring_case(element, "chunked") ? 1U : 0U;
    identity += same_ignoring_case(element, "identity") ? 1U : 0U;
    last = element;
  });
  // "xchunked" is a coding of its own to some readers, and chunked to others.
  out.coded = sender == Sender::kOrigin && tokens && !last.empty() && identity == 0 && !names_chunked(field.value);
  if (out.coded) return {};
  const bool valid = tokens && chunked == 1 && same_ignoring_case(last, "chunked") && field.value.contains(',');
  return valid ? fault("a transfer coding other than chunked", 501) : fault("Transfer-Encoding is not chunked");
}

Checked read_connection(const HeaderField& field, Semantics& out) {
  std::string_view wrong;
  for_each_element(field.value, [&](std::string_view element) {
    if (!is_token(element)) wrong = "Connection is not a list of tokens";
    if (same_ignoring_case(element, "close")) out.close = true;
    if (same_ignoring_case(element, "keep-alive")) out.keep_alive = true;
    if (same_ignoring_case(element, "upgrade")) out.connection_upgrade = true;
    // Would make the next hop drop the field that this one went by.
    if (same_ignoring_case(element, "host") || same_ignoring_case(element, "content-length") ||
        same_ignoring_case(element, "transfer-encoding")) {
      wrong = "Connection names a field that frames or routes the message";
    }
  });
  if (!wrong.empty()) return fault(wrong);
  return {};
}

// RFC 9110 section 10.1.4: chunked is never announced there; who does means Transfer-Encoding.
Checked read_te(const HeaderField& field) {
  bool chunked = false;
  for_each_element(field.value, [&](std::string_view element) {
    chunked = chunked || same_ignoring_case(trimmed(element.substr(0, element.find(';'))), "chunked");
  });
  if (chunked) return fault("TE names chunked");
  return {};
}

Checked read_upgrade(const HeaderField& field, Semantics& out) {
  ++out.upgrades;
  out.websocket = out.upgrades == 1 && same_ignoring_case(field.value, "websocket");
  return {};
}

Checked check_look_alike(std::string_view name) {
  return is_framing_look_alike(name) ? fault("a look-alike of a framing field") : Checked{};
}

Checked read_semantic_field(const HeaderField& field, Sender sender, Semantics& out) {
  switch (field.name.size()) {
    case 2:
      return same_ignoring_case(field.name, "te") ? read_te(field) : Checked{};
    case 4:
      if (!same_ignoring_case(field.name, "host")) return {};
      ++out.hosts;
      out.host = field.value;
      return {};
    case 6:
      if (!same_ignoring_case(field.name, "expect")) return {};
      ++out.expects;
      out.expect = field.value;
      return {};
    case 7:
      return same_ignoring_case(field.name, "upgrade") ? read_upgrade(field, out) : Checked{};
    case 10:
      return same_ignoring_case(field.name, "connection") ? read_connection(field, out) : Checked{};
    case 14:
      if (same_ignoring_case(field.name, "content-length")) return read_content_length(field, out);
      return check_look_alike(field.name);
    case 17:
      if (same_ignoring_case(field.name, "transfer-encoding")) return read_transfer_encoding(field, sender, out);
      if (!same_ignoring_case(field.name, "sec-websocket-key")) return check_look_alike(field.name);
      ++out.websocket_keys;
      out.websocket_key = field.value;
      return {};
    case 21:
      if (!same_ignoring_case(field.name, "sec-websocket-version")) return {};
      ++out.websocket_versions;
      out.websocket_version = field.value;
      return {};
    default:
      return {};
  }
}

}  // namespace

bool is_framing_look_alike(std::string_view name) {
  if (!name.contains('_')) return false;
  const auto alike = [name](std::string_view lowered) {
    return name.size() == lowered.size() &&
           std::ranges::equal(name, lowered, [](char a, char b) { return (a == '_' ? '-' : lower(a)) == b; });
  };
  return alike("content-length") || alike("transfer-encoding");
}

Step<std::string_view> LineCursor::next(std::size_t limit, std::string_view too_long, int status) {
  const std::string_view rest = text_.substr(position_);
  const auto newline = rest.substr(0, limit + 2).find('\n');
  if (newline == std::string_view::npos) {
    if (rest.size() >= limit + 2) return stop(too_long, status);
    return std::unexpected(Stop(NeedMore{}));
  }
  if (newline == 0 || rest[newline - 1] != '\r') return stop("a line that does not end in CRLF");
  position_ += newline + 1;
  return rest.substr(0, newline - 1);
}

std::expected<HeaderField, Malformed> parse_field(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t')) return fault("a folded field line");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return fault("a field line without a colon");
  const auto name = line.substr(0, colon);
  if (!is_token(name)) return fault("a field name that is not a token");
  const auto value = line.substr(colon + 1);
  if (!std::ranges::all_of(value, is_value_char)) return fault("a control character in a field value");
  return HeaderField{name, trimmed(value), line};
}

Step<std::vector<HeaderField>> read_fields(LineCursor& lines, std::size_t most) {
  std::vector<HeaderField> fields;
  fields.reserve(kUsualFields);
  for (;;) {
    // Of the limit for the whole head, what is left for this line besides its CRLF.
    const std::size_t left = kMaxHeadBytes - std::min(kMaxHeadBytes, lines.position() + 2);
    SR_LET(line, lines.next(left, "the head is too large", 431));
    if (line->empty() && lines.position() > kMaxHeadBytes) return stop("the head is too large", 431);
    if (line->empty()) return fields;
    if (fields.size() == most) return stop("too many header fields", 431);
    auto field = parse_field(*line);
    if (!field) return std::unexpected(Stop(field.error()));
    field->line = {line->data(), line->size() + 2};
    fields.push_back(*field);
  }
}

std::expected<Semantics, Malformed> semantics_of(const std::vector<HeaderField>& fields, Sender sender) {
  Semantics out;
  for (const auto& field : fields) {
    SR_TRY(read_semantic_field(field, sender, out));
  }
  if ((out.chunked || out.coded) && out.content_length) return fault("Content-Length and Transfer-Encoding together");
  return out;
}

}  // namespace soleroute::sniffer::http1
