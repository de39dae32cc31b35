// Follows the frames of one HTTP/2 peer before anything else reads them, and says when the peer makes the gateway work
// for nothing: CONTINUATION floods (CVE-2024-28182), rapid resets (CVE-2023-44487), provoked resets (CVE-2025-8671),
// floods of frames that carry nothing. Knows which streams a client skipped, which must not be opened later. Sees nine
// bytes a frame, keeps no payload. Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "gateway/net/deadline_wheel.h"

namespace soleroute::gateway::http2 {

inline constexpr std::size_t kMaxHeaderBlock = std::size_t{64} * 1024;  // compressed, HEADERS and CONTINUATION together
inline constexpr int kMaxContinuations = 8;                             // of one header block
inline constexpr double kIdleFrameBurst = 2000;                         // frames that carry nothing, at once
inline constexpr double kIdleFramesPerSecond = 100;                     // and in the long run
inline constexpr double kIdleFramesPerUsefulFrame = 4;                  // window updates and pings that go with data
// Of DATA that we sent. Go gives window back for every 4,096 bytes that its program reads, on the stream and on the
// connection, others for less: eight frames and more for one of ours.
inline constexpr double kSentBytesPerIdleFrame = 512;
inline constexpr double kResetBurst = 200;  // streams that the client gives up
inline constexpr double kResetsPerSecond = 20;

// Numbers that a client skipped are remembered as so many ranges, the latest ones. Skipping is legal, and clients skip
// what they give up before it is sent.
inline constexpr std::size_t kMaxSkippedRanges = 32;

enum class Role : std::uint8_t { kServer, kClient };  // of the gateway on this connection

// Tokens that come back with time, up to a bound.
class Allowance {
 public:
  Allowance(double burst, double per_second) : burst_(burst), per_second_(per_second), left_(burst) {}
  void pass_time(double seconds) { earn(seconds * per_second_); }
  void earn(double tokens) { left_ = left_ + tokens < burst_ ? left_ + tokens : burst_; }
  [[nodiscard]] bool spend() { return (left_ -= 1) >= 0; }

 private:
  double burst_;
  double per_second_;
  double left_;
};

// The numbers of the streams that a client opens, which only rise (RFC 9113 section 5.1.1).
class StreamNumbers {
 public:
  enum class Opening : std::uint8_t { kInOrder, kOfSkipped };
  // HEADERS on `stream`.
  [[nodiscard]] Opening accept(std::uint32_t stream);

 private:
  struct Range {
    std::uint32_t first;
    std::uint32_t last;
  };
  std::uint32_t highest_ = 0;
  std::vector<Range> skipped_;
};

// What ends a connection.
struct FrameFault {
  std::string_view why;
  std::uint32_t code = 0;  // RFC 9113 section 7
};

class FrameWatch {
 public:
  explicit FrameWatch(Role role);

  // The next bytes that the peer sent. What is wrong with them, if they must not be read; asked again, the same.
  [[nodiscard]] std::optional<FrameFault> inspect(base::Bytes bytes, net::Clock::time_point now);
  // A stream had to be reset because of what the peer sent. What is wrong, if that was one too many.
  [[nodiscard]] std::optional<FrameFault> provoked_reset();
  // A DATA frame of `length` bytes was sent, which the peer will answer with window updates.
  void sent_data(std::size_t length);

  [[nodiscard]] bool in_header_block() const { return in_block_; }

 private:
  void begin_frame();
  void header_block_frame(std::uint8_t type, std::uint8_t flags, std::size_t length, std::uint32_t stream);
  void spend_idle_frame();
  void fail(std::string_view why);
  void fail(FrameFault fault);

  Role role_;
  std::size_t skip_;  // payload, or the client's preface, still to pass
  std::array<std::byte, 9> header_{};
  std::size_t header_size_ = 0;
  StreamNumbers numbers_;
  bool in_block_ = false;
  std::size_t block_size_ = 0;
  int continuations_ = 0;
  Allowance idle_frames_{kIdleFrameBurst, kIdleFramesPerSecond};
  Allowance resets_{kResetBurst, kResetsPerSecond};
  std::optional<net::Clock::time_point> last_;
  std::optional<FrameFault> fault_;
};

}  // namespace soleroute::gateway::http2
