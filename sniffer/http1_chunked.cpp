// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/http1_chunked.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "sniffer/http1_fields.h"
#include "sniffer/http1_text.h"

namespace soleroute::sniffer {
namespace {

constexpr std::string_view kCrlf = "\r\n";
constexpr std::string_view kSizeLineEnd = "a chunk line that does not end in CRLF";
constexpr std::string_view kLongerThanSize = "a chunk longer than its size";
constexpr std::string_view kTrailerEnd = "a trailer line that does not end in CRLF";
constexpr std::string_view kBadExtension = "a malformed or too long chunk extension";

constexpr int kMaxOriginZeros = 256;
constexpr int kMaxSizeDigits = 15;  // 2^60 - 1: no sum over it can overflow

// Cuts a quoted-string (RFC 9110 section 5.6.4) off the front.
bool skip_quoted(std::string_view& text) {
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') {
      text.remove_prefix(at + 1);
      return true;
    }
    if (text[at] == '\\') ++at;
    if (at == text.size()) return false;
    if (!http1::is_value_char(text[at])) return false;
  }
  return false;
}

bool skip_token(std::string_view& text) {
  const auto* const end = std::ranges::find_if_not(text, http1::is_token_char);
  const auto size = static_cast<std::size_t>(end - text.begin());
  text.remove_prefix(size);
  return size > 0;
}

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

// The next character after blanks, which belong to it: none may end a line.
bool skip_character(std::string_view& text, char wanted) {
  auto rest = text;
  skip_blanks(rest);
  if (!rest.starts_with(wanted)) return false;
  rest.remove_prefix(1);
  skip_blanks(rest);
  text = rest;
  return true;
}

}  // namespace

bool is_chunk_extension(std::string_view text) {
  while (!text.empty()) {
    if (!skip_character(text, ';') || !skip_token(text)) return false;
    if (!skip_character(text, '=')) continue;
    if (!(text.starts_with('"') ? skip_quoted(text) : skip_token(text))) return false;
  }
  return true;
}

bool is_forbidden_trailer(std::string_view name) {
  constexpr std::array<std::string_view, 8> kForbidden{
      "content-length", "transfer-encoding", "host", "connection", "upgrade", "te", "trailer", "expect"};
  return std::ranges::any_of(kForbidden, [name](auto f) { return http1::same_ignoring_case(name, f); });
}

std::size_t ChunkedScanner::feed(base::Bytes bytes, const ChunkedContent* content) {
  content_ = content;
  fed_ = bytes;
  taken_ = line_begin_ = run_begin_ = run_end_ = 0;
  out_.clear();
  while (taken_ < bytes.size() && state_ == State::kMore) {
    if (at_ == At::kData) {
      const auto run = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size() - taken_));
      if (!forwards()) content_->data(bytes.subspan(taken_, run));
      if (forwards()) forward(taken_, taken_ + run);
      remaining_ -= run;
      line_begin_ = taken_ += run;
      if (remaining_ == 0) at_ = At::kDataCr;
      continue;
    }
    const char c = std::to_integer<char>(bytes[taken_]);
    ++taken_;
    step(c);
  }
  content_ = nullptr;
  return taken_;
}

void ChunkedScanner::step(char c) {
  switch (at_) {
    case At::kSize:
      return read_size(c);
    case At::kExtension:
      return read_extension(c);
    case At::kSizeLf:
      return c == '\n' ? end_size_line() : lone_cr(At::kExtension, c, kSizeLineEnd);
    case At::kDataCr:
      if (c == '\n') return bare_lf(&ChunkedScanner::end_data, kLongerThanSize);
      at_ = At::kDataLf;
      return c == '\r' ? void() : fail(kLongerThanSize);
    case At::kDataLf:
      return c == '\n' ? end_data() : fail(kLongerThanSize);
    case At::kTrailer:
      return read_trailer(c);
    case At::kTrailerLf:
      return c == '\n' ? end_trailer_line() : lone_cr(At::kTrailer, c, kTrailerEnd);
    case At::kData:
      return;
  }
}

void ChunkedScanner::bare_lf(void (ChunkedScanner::*end)(), std::string_view fault) {
  return sender_ == Sender::kOrigin ? (this->*end)() : fail(fault);
}

void ChunkedScanner::lone_cr(At at, char c, std::string_view fault) {
  if (sender_ != Sender::kOrigin) return fail(fault);
  at_ = at;
  if (at == At::kTrailer) line_.push_back('\r');
  step(c);
}

void ChunkedScanner::size_digit(char c, int digit) {
  if (digit == 0 && digits_ == 0) {
    ++zeros_;
  } else {
    ++digits_;
  }
  const int most = sender_ == Sender::kOrigin ? kMaxOriginZeros : kMaxSizeDigits - digits_;
  if (digits_ > kMaxSizeDigits || zeros_ > most) return fail("a chunk size out of range");
  remaining_ = remaining_ << 4U | static_cast<std::uint64_t>(digit);
  if (remaining_ > 0) line_.push_back(c);
}

void ChunkedScanner::read_size(char c) {
  const int digit = base::hex_digit(c);
  if (digit >= 0) return size_digit(c, digit);
  if (digits_ + zeros_ == 0) return fail("a malformed chunk size");
  if (c == '\r') {
    at_ = At::kSizeLf;
  } else if (c == '\n') {
    bare_lf(&ChunkedScanner::end_size_line, kSizeLineEnd);
  } else if (c == ';' || c == ' ' || c == '\t') {
    at_ = At::kExtension;
    read_extension(c);
  } else {
    fail("a malformed chunk size");
  }
}

// A client's is kept to be judged; of an origin's, what begins it tells.
bool ChunkedScanner::extension_fits() const {
  return extension_bytes_ <= (sender_ == Sender::kOrigin ? kMaxOriginChunkExtension : kMaxChunkExtension + 1);
}

void ChunkedScanner::read_extension(char c) {
  if (c == '\n') return bare_lf(&ChunkedScanner::end_size_line, kSizeLineEnd);
  if (c == '\r') {
    at_ = At::kSizeLf;
    return;
  }
  ++extension_bytes_;
  const bool from_client = sender_ == Sender::kClient;
  if (!extension_fits() || (from_client && !http1::is_value_char(c))) return fail(kBadExtension);
  const bool blank = c == ' ' || c == '\t';
  if (from_client || (extension_.empty() && !blank)) extension_.push_back(c);
}

// Servers pad sizes with blanks, and write extensions that no grammar knows; what they call text after a size is not
// one.
void ChunkedScanner::end_size_line() {
  const bool sound =
      sender_ == Sender::kClient ? is_chunk_extension(extension_) : extension_.empty() || extension_.front() == ';';
  if (!sound) return fail(kBadExtension);
  extension_.clear();
  extension_bytes_ = 0;
  digits_ = zeros_ = 0;
  at_ = remaining_ > 0 ? At::kData : At::kTrailer;
  if (line_.empty()) line_ = "0";
  forward_line(line_);
  line_.clear();
}

void ChunkedScanner::end_data() {
  at_ = At::kSize;
  forward_line({});
}

void ChunkedScanner::read_trailer(char c) {
  if (++trailer_bytes_ > kMaxTrailerBytes) return fail("trailers too large");
  if (c == '\r') {
    at_ = At::kTrailerLf;
    return;
  }
  if (c == '\n') return bare_lf(&ChunkedScanner::end_trailer_line, kTrailerEnd);
  line_.push_back(c);
}

void ChunkedScanner::end_trailer_line() {
  at_ = At::kTrailer;
  if (line_.empty()) {
    state_ = State::kDone;
    return forward_line(line_);
  }
  const auto field = http1::parse_field(line_);
  if (!field && sender_ == Sender::kClient) return fail("a malformed trailer");
  if (++trailer_fields_ > kMaxTrailerFields) return fail("too many trailers");
  const bool forbidden = !field || is_forbidden_trailer(field->name);
  if (forbidden && sender_ == Sender::kClient) return fail("a trailer that frames, routes or controls the connection");
  if (!forbidden && content_ != nullptr && content_->trailer) content_->trailer(*field);
  if (forbidden) line_begin_ = taken_;  // an origin's: left out
  if (!forbidden) forward_line(line_);
  line_.clear();
}

void ChunkedScanner::forward(std::size_t begin, std::size_t end) {
  if (out_.empty()) {
    if (run_begin_ == run_end_) run_begin_ = run_end_ = begin;
    if (run_end_ == begin) {
      run_end_ = end;
      return;
    }
    out_ = base::as_text(fed_.subspan(run_begin_, run_end_ - run_begin_));
  }
  out_ += base::as_text(fed_.subspan(begin, end - begin));
}

// A line that has ended: as it came if that is its plain form.
void ChunkedScanner::forward_line(std::string_view text) {
  const auto begin = std::exchange(line_begin_, taken_);
  if (!forwards()) return;
  const auto came = base::as_text(fed_.subspan(begin, taken_ - begin));
  const bool plain = came.size() == text.size() + kCrlf.size() && came.starts_with(text) && came.ends_with(kCrlf);
  if (plain) return forward(begin, taken_);
  if (out_.empty()) out_ = base::as_text(fed_.subspan(run_begin_, run_end_ - run_begin_));
  out_.append(text).append(kCrlf);
}

bool ChunkedScanner::end_of_stream() {
  const bool ends =
      state_ == State::kMore && sender_ == Sender::kOrigin && (at_ == At::kTrailer || at_ == At::kTrailerLf);
  if (!ends) return false;
  fed_ = {};
  taken_ = line_begin_ = run_begin_ = run_end_ = 0;
  line_.clear();
  out_ = kCrlf;
  state_ = State::kDone;
  return true;
}

void ChunkedScanner::fail(std::string_view why) {
  state_ = State::kMalformed;
  fault_ = why;
}

}  // namespace soleroute::sniffer
