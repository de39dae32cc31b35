// Where the body of one HTTP/1 message ends, followed as its bytes pass, and what of it to forward.
// Plain state; not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/byte_reader.h"
#include "gateway/flow/header_injection.h"
#include "sniffer/http1_chunked.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::flow {

class BodyTracker {
 public:
  struct Piece {
    std::size_t taken = 0;  // of the bytes given, so many belong to the body
    base::Bytes
        forwarded;  // what to send for them: a part of them, or own bytes that live until the next take() or move
  };

  BodyTracker() = default;  // of a message without a body
  BodyTracker(sniffer::BodyFraming framing, std::uint64_t length, sniffer::Sender sender)
      : framing_(framing), remaining_(length), chunks_(sender) {}

  // Of a request on which the policy sets these headers: a trailer of such a name makes it malformed, since there are
  // servers that make one of the two. Borrows.
  void refuse_trailers(std::span<const policy::HeaderTransform> transforms) { transforms_ = transforms; }

  // The next bytes, which follow those taken before. If malformed() then, none of them may be sent on.
  [[nodiscard]] Piece take(base::Bytes bytes) {
    switch (framing_) {
      case sniffer::BodyFraming::kNone:
        return {};
      case sniffer::BodyFraming::kUntilClose:
        return {bytes.size(), bytes};
      case sniffer::BodyFraming::kChunked: {
        const auto taken = transforms_.empty() ? chunks_.feed(bytes) : take_judging(bytes);
        return {taken, chunks_.forwarded()};
      }
      case sniffer::BodyFraming::kLength:
        break;
    }
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
    remaining_ -= taken;
    return {taken, bytes.first(taken)};
  }
  // What take() gave has been sent, and the next bytes may be long in coming.
  void sent() { chunks_.release(); }

  [[nodiscard]] bool until_close() const { return framing_ == sniffer::BodyFraming::kUntilClose; }
  [[nodiscard]] bool done() const {
    if (framing_ == sniffer::BodyFraming::kChunked) return chunks_.state() == sniffer::ChunkedScanner::State::kDone;
    return !until_close() && remaining_ == 0;
  }
  [[nodiscard]] bool malformed() const {
    return refused_ || chunks_.state() == sniffer::ChunkedScanner::State::kMalformed;
  }
  [[nodiscard]] std::string_view fault() const {
    return refused_ ? "a trailer named as a header that the policy sets" : chunks_.fault();
  }

  // Of `most` bytes, how many may be read without reading past a body of known length.
  [[nodiscard]] std::size_t readable(std::size_t most) const {
    if (framing_ != sniffer::BodyFraming::kLength) return most;
    return static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, most));
  }

 private:
  std::size_t take_judging(base::Bytes bytes) {
    sniffer::ChunkedContent content;
    content.trailer = [this](const sniffer::HeaderField& field) {
      refused_ = refused_ || judge_own_field(transforms_, field.name, field.value) != OwnField::kKeep;
    };
    return chunks_.feed(bytes, &content);
  }

  sniffer::BodyFraming framing_ = sniffer::BodyFraming::kNone;
  std::uint64_t remaining_ = 0;
  sniffer::ChunkedScanner chunks_;
  std::span<const policy::HeaderTransform> transforms_;
  bool refused_ = false;
};

}  // namespace soleroute::gateway::flow
