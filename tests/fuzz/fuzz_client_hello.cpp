// ClientHello parser: one answer for a prefix and for the whole, whatever the split into records.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdint>
#include <vector>

#include "sniffer/tls_client_hello.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;

bool same(const sniffer::ClientHello& a, const sniffer::ClientHello& b) {
  return a.server_name == b.server_name && a.alpn == b.alpn && a.encrypted_client_hello == b.encrypted_client_hello &&
         a.offers_tls13 == b.offers_tls13;
}

// The first record's body again, cut into records of `size` bytes.
std::vector<std::byte> split_again(base::Bytes record, std::size_t size) {
  std::vector<std::byte> out;
  const auto body = record.subspan(5);
  for (std::size_t at = 0; at < body.size(); at += size) {
    const auto piece = body.subspan(at, std::min(size, body.size() - at));
    out.insert(out.end(), record.begin(), record.begin() + 3);
    out.push_back(static_cast<std::byte>(piece.size() >> 8));
    out.push_back(static_cast<std::byte>(piece.size()));
    out.insert(out.end(), piece.begin(), piece.end());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = std::as_bytes(std::span(data, size));
  const auto whole = sniffer::parse_client_hello(bytes);
  // As a flow reads: asked again only when as much is there as was asked for.
  std::size_t wanted = 1;
  for (std::size_t have = 0; have < size; have = std::min(size, std::max(wanted, have + 1))) {
    const auto part = sniffer::parse_client_hello(bytes.first(have));
    if (part.malformed()) require(whole.malformed());
    if (part.complete()) require(whole.complete() && same(part.value(), whole.value()));
    if (!part.need_more()) return 0;
    wanted = part.missing().at_least;
    require(wanted > have && wanted <= sniffer::kMaxClientHelloBytes);
    if (whole.complete()) require(wanted <= whole.value().size);
  }
  if (!whole.complete()) return 0;
  require(whole.value().size <= size);
  const std::size_t first_record = 5 + (static_cast<std::size_t>(data[3]) << 8 | data[4]);
  if (first_record != whole.value().size || first_record < 50) return 0;
  const auto again = split_again(bytes.first(first_record), 37);
  const auto parsed = sniffer::parse_client_hello(again);
  if (again.size() <= sniffer::kMaxClientHelloBytes) require(parsed.complete() && same(parsed.value(), whole.value()));
  return 0;
}
