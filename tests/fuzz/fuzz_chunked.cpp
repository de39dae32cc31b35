// Chunked coding: the end is where a plain reader that holds everything finds it, however the bytes come.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sniffer/http1_chunked.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;
using State = sniffer::ChunkedScanner::State;

// Where the body ends, by RFC 9112 section 7.1 read leniently; nothing if it does not.
std::optional<std::size_t> plain_end(std::string_view text) {
  std::size_t at = 0;
  for (;;) {
    const auto line_end = text.find("\r\n", at);
    if (line_end == std::string_view::npos) return std::nullopt;
    std::uint64_t chunk = 0;
    for (std::size_t i = at; i < line_end && std::isxdigit(static_cast<unsigned char>(text[i])) != 0; ++i) {
      const char c = static_cast<char>(std::tolower(text[i]));
      chunk = chunk * 16 + static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    at = line_end + 2;
    if (chunk == 0) break;
    if (chunk > text.size() - at || text.substr(at + chunk, 2) != "\r\n") return std::nullopt;
    at += chunk + 2;
  }
  if (text.substr(at, 2) == "\r\n") return at + 2;
  const auto end = text.find("\r\n\r\n", at);
  return end == std::string_view::npos ? std::nullopt : std::optional(end + 4);
}

// What was forwarded is one body, and its own plain form.
void forwards_plain_form(const std::string& sent, sniffer::Sender sender) {
  sniffer::ChunkedScanner again(sender);
  require(again.feed(base::as_bytes(sent)) == sent.size() && again.state() == State::kDone);
  require(base::as_text(again.forwarded()) == sent);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Bytes bytes = std::as_bytes(std::span(data, size));
  sniffer::ChunkedScanner whole;
  const std::size_t taken = whole.feed(bytes);
  const std::string sent(base::as_text(whole.forwarded()));
  require(taken <= size && (whole.state() != State::kMore || taken == size));
  require((whole.state() == State::kMalformed) == !whole.fault().empty());
  for (const std::size_t step : {std::size_t{1}, std::size_t{5}}) {
    sniffer::ChunkedScanner pieces;
    std::size_t used = 0;
    std::string sent_in_pieces;
    for (std::size_t at = 0; at < size && pieces.state() == State::kMore; at += step) {
      used += pieces.feed(bytes.subspan(at, std::min(step, size - at)));
      sent_in_pieces += base::as_text(pieces.forwarded());
    }
    require(pieces.state() == whole.state() && used == taken);
    if (whole.state() != State::kMalformed) require(sent_in_pieces == sent);
  }
  if (whole.state() == State::kDone) forwards_plain_form(sent, sniffer::Sender::kClient);
  sniffer::ChunkedScanner origins(sniffer::Sender::kOrigin);
  const std::size_t taken_from_origin = origins.feed(bytes);
  const std::string sent_to_client(base::as_text(origins.forwarded()));
  if (origins.state() == State::kDone) forwards_plain_form(sent_to_client, sniffer::Sender::kClient);
  if (whole.state() == State::kDone) require(origins.state() == State::kDone && taken_from_origin == taken);
  if (whole.state() == State::kDone) require(plain_end(base::as_text(bytes)) == taken);
  return 0;
}
