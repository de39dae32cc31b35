// IP packets, QUIC datagrams and protocol guesses: no answer changes when more of the same bytes is seen.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>

#include "sniffer/ip_packet.h"
#include "sniffer/protocol_guess.h"
#include "sniffer/quic_initial.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

void check_packet(base::Bytes bytes) {
  const auto whole = sniffer::parse_ip_packet(bytes);
  if (whole.complete()) {
    const auto& payload = whole.value().payload;
    require(payload.empty() || (payload.data() >= bytes.data() && payload.size() <= bytes.size()));
    require(whole.value().source.family() == whole.value().destination.family());
    require(whole.value().source_port.has_value() == whole.value().destination_port.has_value());
  }
  for (std::size_t have = 0; have < bytes.size(); have += 1 + have / 32) {
    const auto copy = sniffer::parse_ip_packet(bytes.first(have));
    if (copy.need_more()) {
      require(copy.missing().at_least > have);
      continue;
    }
    require(copy.malformed() == whole.malformed() && copy.complete() == whole.complete());
    if (copy.complete()) require(copy.value().destination_port == whole.value().destination_port);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = std::as_bytes(std::span(data, size));
  check_packet(bytes);
  const auto quic = sniffer::parse_quic_initial(bytes);
  const auto guess = sniffer::guess_protocol(bytes);
  for (std::size_t have = 0; have < size; have += 1 + have / 32) {
    const auto part = sniffer::parse_quic_initial(bytes.first(have));
    if (part.need_more()) require(part.missing().at_least > have);
    if (!part.need_more()) require(part.complete() == quic.complete());
    const auto early = sniffer::guess_protocol(bytes.first(have));
    if (early != sniffer::Protocol::kNeedMore) require(early == guess);
  }
  return 0;
}
