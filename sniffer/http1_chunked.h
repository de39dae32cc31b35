// Follows the chunked coding (RFC 9112 section 7.1) as its bytes pass: finds its end, and gives what to forward. That
// is the received bytes wherever they are in plain form; no chunk extension is forwarded, nor a line before it is whole
// and understood. Memory is bounded by the constants below and what one feed() takes. Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/byte_reader.h"
#include "sniffer/http1_head.h"

namespace soleroute::sniffer {

inline constexpr std::size_t kMaxChunkExtension = 1024;            // bytes after the size in one chunk line of a client
inline constexpr std::size_t kMaxOriginChunkExtension = 16 << 10;  // likewise of an origin: read over, never kept
inline constexpr std::size_t kMaxTrailerBytes = 16 << 10;
inline constexpr std::size_t kMaxTrailerFields = 64;

// RFC 9112 section 7.1.1: all of what stands between a chunk's size and its CRLF; empty is none.
[[nodiscard]] bool is_chunk_extension(std::string_view text);

// RFC 9110 section 6.5.1: framing, routing and connection control are never read from a trailer.
[[nodiscard]] bool is_forbidden_trailer(std::string_view name);

// What the coding carries, for those who forward it in another form (then with `data`) or look at its trailers.
struct ChunkedContent {
  std::function<void(base::Bytes)> data{};
  std::function<void(const HeaderField&)> trailer{};  // borrows for the call
};

class ChunkedScanner {
 public:
  enum class State : std::uint8_t { kMore, kDone, kMalformed };

  explicit ChunkedScanner(Sender sender = Sender::kClient) : sender_(sender) {}

  // Takes the next bytes of the connection and returns how many of them belong to this body. With kDone the rest is
  // what follows the body; with kMalformed nothing of what was taken may be forwarded.
  [[nodiscard]] std::size_t feed(base::Bytes bytes, const ChunkedContent* content = nullptr);
  // What to forward for the bytes of the last feed(): a part of them, or own bytes that live until the next one or a
  // move. Nothing where the content was asked for.
  [[nodiscard]] base::Bytes forwarded() const {
    return out_.empty() ? fed_.subspan(run_begin_, run_end_ - run_begin_) : base::as_bytes(out_);
  }
  // forwarded() has been used: lets go of memory.
  void release() { out_ = std::string(); }
  [[nodiscard]] State state() const { return state_; }
  // The connection ended. True: an origin's last chunk was there, and only the end of the trailers is missing; the body
  // is done, and forwarded() is that end.
  [[nodiscard]] bool end_of_stream();
  [[nodiscard]] std::string_view fault() const { return fault_; }  // static text

 private:
  enum class At : std::uint8_t { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf };

  void step(char c);
  void read_size(char c);
  void read_extension(char c);
  void end_size_line();
  void end_data();
  void read_trailer(char c);
  void end_trailer_line();
  void fail(std::string_view why);
  void size_digit(char c, int digit);
  [[nodiscard]] bool extension_fits() const;
  // A CR that no LF follows: readers that look for LF alone go on.
  void lone_cr(At at, char c, std::string_view fault);
  // A bare LF in the place of CRLF.
  void bare_lf(void (ChunkedScanner::*end)(), std::string_view fault);

  void forward(std::size_t begin, std::size_t end);
  void forward_line(std::string_view text);
  [[nodiscard]] bool forwards() const { return content_ == nullptr || !content_->data; }

  Sender sender_;
  const ChunkedContent* content_ = nullptr;  // during feed()
  State state_ = State::kMore;
  At at_ = At::kSize;
  int digits_ = 0;               // of the size being read, without leading zeros
  int zeros_ = 0;                // before them
  std::uint64_t remaining_ = 0;  // size being read, then data still to come
  std::size_t trailer_bytes_ = 0;
  std::size_t trailer_fields_ = 0;
  std::string line_;       // a size without leading zeros, or a trailer
  std::string extension_;  // of the size line; of an origin's, how it begins
  std::size_t extension_bytes_ = 0;
  std::string_view fault_;

  base::Bytes fed_;
  std::size_t taken_ = 0;       // of them
  std::size_t line_begin_ = 0;  // where the line under way began in them; 0 also for one that began before
  std::size_t run_begin_ = 0;   // what is forwarded as it is, while out_ is empty
  std::size_t run_end_ = 0;
  std::string out_;
};

}  // namespace soleroute::sniffer
