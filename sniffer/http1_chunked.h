// Follows the chunked coding (RFC 9112 section 7.1) as its bytes pass, so that they can be forwarded unchanged while
// the end is found. Constant memory but for trailers, which are bounded. Not thread-safe.
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

inline constexpr std::size_t kMaxChunkExtension = 1024;  // bytes after the size in one chunk line
inline constexpr std::size_t kMaxTrailerBytes = 16 * 1024;
inline constexpr std::size_t kMaxTrailerFields = 64;

// RFC 9110 section 6.5.1: framing, routing and connection control are never read from a trailer.
[[nodiscard]] bool is_forbidden_trailer(std::string_view name);

// What the coding carries, for who forwards it in another form.
struct ChunkedContent {
  std::function<void(base::Bytes)> data;
  std::function<void(const HeaderField&)> trailer;  // borrows for the call
};

class ChunkedScanner {
 public:
  enum class State : std::uint8_t { kMore, kDone, kMalformed };

  // Takes the next bytes of the connection and returns how many of them belong to this body. With kDone the rest is
  // what follows the body; with kMalformed what was taken must not be forwarded.
  [[nodiscard]] std::size_t feed(base::Bytes bytes, const ChunkedContent* content = nullptr);
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] std::string_view fault() const { return fault_; }  // static text

 private:
  enum class At : std::uint8_t { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf };

  void step(char c);
  void read_size(char c);
  void end_size_line();
  void read_trailer(char c);
  void end_trailer_line();
  void fail(std::string_view why);

  const ChunkedContent* content_ = nullptr;  // during feed()
  State state_ = State::kMore;
  At at_ = At::kSize;
  int digits_ = 0;               // of the size being read
  std::uint64_t remaining_ = 0;  // size being read, then data still to come
  std::size_t extension_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t trailer_fields_ = 0;
  std::string line_;  // of the trailers
  std::string_view fault_;
};

}  // namespace soleroute::sniffer
