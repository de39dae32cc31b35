// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/frame_watch.h"

#include <algorithm>
#include <chrono>

#include "gateway/http2/stream.h"

namespace soleroute::gateway::http2 {
namespace {

constexpr std::size_t kPrefaceSize = 24;  // RFC 9113 section 3.4

// RFC 9113 section 6.
constexpr std::uint8_t kData = 0x0;
constexpr std::uint8_t kHeaders = 0x1;
constexpr std::uint8_t kRstStream = 0x3;
constexpr std::uint8_t kPushPromise = 0x5;
constexpr std::uint8_t kContinuation = 0x9;
constexpr std::uint8_t kEndStream = 0x1;
constexpr std::uint8_t kEndHeaders = 0x4;

}  // namespace

StreamNumbers::Opening StreamNumbers::accept(std::uint32_t stream) {
  if (stream <= highest_) {
    const auto holds = [&](Range range) { return range.first <= stream && stream <= range.last; };
    return std::ranges::any_of(skipped_, holds) ? Opening::kOfSkipped : Opening::kInOrder;
  }
  const std::uint32_t next = highest_ == 0 ? 1 : highest_ + 2;
  if (stream > next) {
    if (skipped_.size() == kMaxSkippedRanges) skipped_.erase(skipped_.begin());  // may then be opened in vain
    skipped_.push_back({next, stream - 1});
  }
  highest_ = stream;
  return Opening::kInOrder;
}

FrameWatch::FrameWatch(Role role) : role_(role), skip_(role == Role::kServer ? kPrefaceSize : 0) {}

std::optional<FrameFault> FrameWatch::inspect(base::Bytes bytes, net::Clock::time_point now) {
  if (last_) {
    const double seconds = std::chrono::duration<double>(now - *last_).count();
    idle_frames_.pass_time(seconds);
    resets_.pass_time(seconds);
  }
  last_ = now;
  while (!bytes.empty() && !fault_) {
    if (skip_ > 0) {
      const auto passed = std::min(skip_, bytes.size());
      skip_ -= passed;
      bytes = bytes.subspan(passed);
      continue;
    }
    const auto taken = std::min(header_.size() - header_size_, bytes.size());
    std::ranges::copy(bytes.first(taken), header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    header_size_ += taken;
    bytes = bytes.subspan(taken);
    if (header_size_ == header_.size()) begin_frame();
  }
  return fault_;
}

std::optional<FrameFault> FrameWatch::provoked_reset() {
  if (!resets_.spend()) fail("too many streams that had to be reset");
  return fault_;
}

void FrameWatch::sent_data(std::size_t length) {
  idle_frames_.earn(std::max(kIdleFramesPerUsefulFrame, static_cast<double>(length) / kSentBytesPerIdleFrame));
}

void FrameWatch::begin_frame() {
  base::ByteReader reader(header_);
  const std::size_t length = reader.u24().value_or(0);
  const std::uint8_t type = reader.u8().value_or(0);
  const std::uint8_t flags = reader.u8().value_or(0);
  const std::uint32_t stream = reader.u32().value_or(0) & 0x7fffffffU;
  header_size_ = 0;
  skip_ = length;
  switch (type) {
    case kHeaders:
    case kPushPromise:
    case kContinuation:
      return header_block_frame(type, flags, length, stream);
    case kData:
      if (length > 0 || (flags & kEndStream) != 0) return idle_frames_.earn(kIdleFramesPerUsefulFrame);
      return spend_idle_frame();
    case kRstStream:
      if (role_ == Role::kServer && !resets_.spend()) return fail("too many streams given up");
      return spend_idle_frame();
    default:
      return spend_idle_frame();
  }
}

void FrameWatch::header_block_frame(std::uint8_t type, std::uint8_t flags, std::size_t length, std::uint32_t stream) {
  const bool opens = type == kHeaders && role_ == Role::kServer;
  if (opens && numbers_.accept(stream) == StreamNumbers::Opening::kOfSkipped) {
    return fail(FrameFault{"a stream with a lower number than an earlier one", kProtocolError});
  }
  if (type != kContinuation) {
    idle_frames_.earn(kIdleFramesPerUsefulFrame);
    block_size_ = 0;
    continuations_ = 0;
  } else if (!in_block_ || ++continuations_ > kMaxContinuations) {
    return fail("too many CONTINUATION frames");
  }
  block_size_ += length;
  if (block_size_ > kMaxHeaderBlock) return fail("a header block too large");
  in_block_ = (flags & kEndHeaders) == 0;
}

void FrameWatch::spend_idle_frame() {
  if (!idle_frames_.spend()) fail("too many frames that carry nothing");
}

void FrameWatch::fail(std::string_view why) {
  fail({why, kEnhanceYourCalm});
}

void FrameWatch::fail(FrameFault fault) {
  if (!fault_) fault_ = fault;
}

}  // namespace soleroute::gateway::http2
