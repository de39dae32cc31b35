// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/http1_chunked.h"

#include <algorithm>
#include <array>

#include "sniffer/http1_fields.h"
#include "sniffer/http1_text.h"

namespace soleroute::sniffer {
namespace {

constexpr int kMaxSizeDigits = 15;  // 2^60 - 1: no sum over it can overflow

int hex_digit(char c) {
  if (http1::is_digit(c)) return c - '0';
  const char lowered = http1::lower(c);
  return lowered >= 'a' && lowered <= 'f' ? lowered - 'a' + 10 : -1;
}

}  // namespace

bool is_forbidden_trailer(std::string_view name) {
  constexpr std::array<std::string_view, 8> kForbidden{
      "content-length", "transfer-encoding", "host", "connection", "upgrade", "te", "trailer", "expect"};
  return std::ranges::any_of(kForbidden, [name](auto f) { return http1::same_ignoring_case(name, f); });
}

std::size_t ChunkedScanner::feed(base::Bytes bytes, const ChunkedContent* content) {
  content_ = content;
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ == State::kMore) {
    if (at_ == At::kData) {
      const auto run = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size() - taken));
      if (content_ != nullptr) content_->data(bytes.subspan(taken, run));
      remaining_ -= run;
      taken += run;
      if (remaining_ == 0) at_ = At::kDataCr;
      continue;
    }
    step(std::to_integer<char>(bytes[taken]));
    ++taken;
  }
  return taken;
}

void ChunkedScanner::step(char c) {
  switch (at_) {
    case At::kSize:
      return read_size(c);
    case At::kExtension:
      if (c == '\r') {
        at_ = At::kSizeLf;
      } else if (!http1::is_value_char(c) || ++extension_ > kMaxChunkExtension) {
        fail("a malformed or too long chunk extension");
      }
      return;
    case At::kSizeLf:
      return c == '\n' ? end_size_line() : fail("a chunk line that does not end in CRLF");
    case At::kDataCr:
      at_ = At::kDataLf;
      return c == '\r' ? void() : fail("a chunk longer than its size");
    case At::kDataLf:
      at_ = At::kSize;
      return c == '\n' ? void() : fail("a chunk longer than its size");
    case At::kTrailer:
      return read_trailer(c);
    case At::kTrailerLf:
      return c == '\n' ? end_trailer_line() : fail("a trailer line that does not end in CRLF");
    case At::kData:
      return;
  }
}

void ChunkedScanner::read_size(char c) {
  const int digit = hex_digit(c);
  if (digit >= 0) {
    remaining_ = digits_ == 0 ? 0 : remaining_;
    if (++digits_ > kMaxSizeDigits) return fail("a chunk size out of range");
    remaining_ = remaining_ << 4U | static_cast<std::uint64_t>(digit);
    return;
  }
  // Whitespace after the size is refused: readers differ on where the number ends.
  if (digits_ == 0 || (c != '\r' && c != ';')) return fail("a malformed chunk size");
  extension_ = 0;
  at_ = c == ';' ? At::kExtension : At::kSizeLf;
}

void ChunkedScanner::end_size_line() {
  digits_ = 0;
  at_ = remaining_ > 0 ? At::kData : At::kTrailer;
}

void ChunkedScanner::read_trailer(char c) {
  if (++trailer_bytes_ > kMaxTrailerBytes) return fail("trailers too large");
  if (c == '\r') {
    at_ = At::kTrailerLf;
    return;
  }
  if (c == '\n') return fail("a trailer line that does not end in CRLF");
  line_.push_back(c);
}

void ChunkedScanner::end_trailer_line() {
  at_ = At::kTrailer;
  if (line_.empty()) {
    state_ = State::kDone;
    return;
  }
  const auto field = http1::parse_field(line_);
  if (!field) return fail("a malformed trailer");
  if (is_forbidden_trailer(field->name)) return fail("a trailer that frames, routes or controls the connection");
  if (++trailer_fields_ > kMaxTrailerFields) return fail("too many trailers");
  if (content_ != nullptr) content_->trailer(*field);
  line_.clear();
}

void ChunkedScanner::fail(std::string_view why) {
  state_ = State::kMalformed;
  fault_ = why;
}

}  // namespace soleroute::sniffer
