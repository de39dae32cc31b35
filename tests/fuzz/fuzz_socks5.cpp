// SOCKS5 greeting and request: one answer for every prefix, and nothing outside of what was received.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <span>

#include "sniffer/socks5.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

template <class Parse>
void check(base::Bytes bytes, Parse parse) {
  const auto whole = parse(bytes);
  for (std::size_t have = 0; have < bytes.size(); ++have) {
    const auto part = parse(bytes.first(have));
    if (part.malformed()) require(whole.malformed());
    if (part.complete()) require(whole.complete());
    if (!part.need_more()) break;
  }
  if (whole.complete()) require(whole.value().size <= bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = std::as_bytes(std::span(data, size));
  check(bytes, sniffer::parse_socks5_greeting);
  check(bytes, sniffer::parse_socks5_request);
  return 0;
}
