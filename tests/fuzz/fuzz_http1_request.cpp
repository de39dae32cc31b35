// HTTP/1 request head: one answer for every prefix, and what is forwarded reads as what was decided.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <string>

#include "sniffer/http1_head.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

bool same(const sniffer::RequestHead& a, const sniffer::RequestHead& b) {
  return a.method == b.method && a.host == b.host && a.host_address == b.host_address && a.framing == b.framing &&
         a.content_length == b.content_length && a.keep_alive == b.keep_alive && a.fields.size() == b.fields.size();
}

// In origin-form with the same fields, as it is sent on.
void check_forwarded(const sniffer::RequestHead& head) {
  if (head.form == sniffer::TargetForm::kAuthority || !head.http11) return;
  std::string bytes(head.method);
  bytes += ' ' + sniffer::origin_form(head) + " HTTP/1.1\r\n";
  for (const auto& field : head.fields) bytes += field.line;
  bytes += "\r\n";
  const auto again = sniffer::parse_request_head(base::as_bytes(bytes));
  require(again.complete() || bytes.size() > head.size);  // a "/" more than a URL without a path may be one too many
  if (again.complete()) require(same(again.value(), head));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = std::as_bytes(std::span(data, size));
  const auto whole = sniffer::parse_request_head(bytes);
  if (whole.malformed()) require(whole.fault().http_status >= 400);
  std::size_t parsed_size = 0;
  for (std::size_t have = 1; have < size; ++have) {
    if (!sniffer::worth_parsing_again(bytes.first(have), parsed_size)) continue;
    parsed_size = have;
    const auto part = sniffer::parse_request_head(bytes.first(have));
    if (part.malformed()) require(whole.malformed() && whole.fault().http_status == part.fault().http_status);
    if (part.complete()) require(whole.complete() && same(part.value(), whole.value()) && whole.value().size == have);
    if (!part.need_more()) break;
  }
  if (!whole.complete()) return 0;
  const auto& head = whole.value();
  require(head.size <= size && head.size <= sniffer::kMaxHeadBytes + 2 &&
          head.fields.size() <= sniffer::kMaxHeaderFields);
  require(head.framing != sniffer::BodyFraming::kUntilClose);
  require(head.host || head.host_address || !head.authority_text.empty());
  check_forwarded(head);
  return 0;
}
