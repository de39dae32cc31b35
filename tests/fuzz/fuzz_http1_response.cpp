// HTTP/1 response head: one answer for every prefix, for answers to GET and to HEAD.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>

#include "sniffer/http1_head.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = std::as_bytes(std::span(data, size));
  const auto whole = sniffer::parse_response_head(bytes, "GET");
  const auto to_head = sniffer::parse_response_head(bytes, "HEAD");
  // To HEAD, what would frame a body and cannot be read is left out.
  if (whole.complete()) require(to_head.complete());
  if (to_head.malformed()) require(whole.malformed());
  require(whole.need_more() == to_head.need_more());
  for (std::size_t have = 0; have < size; have += 1 + have / 64) {
    const auto part = sniffer::parse_response_head(bytes.first(have), "GET");
    if (part.malformed()) require(whole.malformed());
    if (part.complete()) require(whole.complete() && part.value().size == whole.value().size);
    if (!part.need_more()) break;
  }
  if (!whole.complete()) return 0;
  const auto& head = whole.value();
  const auto exact = sniffer::parse_response_head(bytes.first(head.size), "GET");
  require(exact.complete() && exact.value().framing == head.framing);
  require(sniffer::parse_response_head(bytes.first(head.size - 1), "GET").need_more());
  require(to_head.value().framing == sniffer::BodyFraming::kNone);
  require(!head.keep_alive || head.framing != sniffer::BodyFraming::kUntilClose);
  return 0;
}
