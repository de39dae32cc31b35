// Where the body of one HTTP/1 message ends, followed as its bytes pass, and what of it to forward.
// Plain state; not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/byte_reader.h"
#include "gateway/http/header_injection.h"
#include "policy/override_header.h"
#include "sniffer/http1_chunked.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h1 {

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

  // Of a request that a rule about methods, or about paths, has admitted: likewise for headers that name another.
  void refuse_overrides(bool by_method, bool by_path) {
    by_method_ = by_method;
    by_path_ = by_path;
  }
  // A body of known length is forwarded as chunks.
  void send_chunked() { as_chunks_ = framing_ == sniffer::BodyFraming::kLength; }

  // The next bytes, which follow those taken before. If malformed() then, none of them may be sent on.
  [[nodiscard]] Piece take(base::Bytes bytes) {
    switch (framing_) {
      case sniffer::BodyFraming::kNone:
        return {};
      case sniffer::BodyFraming::kUntilClose:
        return {bytes.size(), bytes};
      case sniffer::BodyFraming::kChunked: {
        const bool judges = !transforms_.empty() || by_method_ || by_path_;
        const auto taken = judges ? take_judging(bytes) : chunks_.feed(bytes);
        return {taken, chunks_.forwarded()};
      }
      case sniffer::BodyFraming::kLength:
        break;
    }
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
    remaining_ -= taken;
    if (as_chunks_) return {taken, chunk_of(bytes.first(taken))};
    return {taken, bytes.first(taken)};
  }
  // What take() gave has been sent, and the next bytes may be long in coming.
  void sent() {
    chunks_.release();
    std::string().swap(chunk_);
  }

  // The connection ended before done(). Something: the body is done all the same, and this is left to forward.
  [[nodiscard]] std::optional<base::Bytes> end_of_stream() {
    if (until_close()) return base::Bytes{};
    if (framing_ != sniffer::BodyFraming::kChunked || !chunks_.end_of_stream()) return std::nullopt;
    return chunks_.forwarded();
  }

  [[nodiscard]] bool until_close() const { return framing_ == sniffer::BodyFraming::kUntilClose; }
  [[nodiscard]] bool done() const {
    if (framing_ == sniffer::BodyFraming::kChunked) return chunks_.state() == sniffer::ChunkedScanner::State::kDone;
    return !until_close() && remaining_ == 0;
  }
  [[nodiscard]] bool malformed() const {
    return refused_ || chunks_.state() == sniffer::ChunkedScanner::State::kMalformed;
  }
  [[nodiscard]] std::string_view fault() const { return refused_ ? refusal_ : chunks_.fault(); }

  // Of `most` bytes, how many may be read without reading past a body of known length.
  [[nodiscard]] std::size_t readable(std::size_t most) const {
    if (framing_ != sniffer::BodyFraming::kLength) return most;
    return static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, most));
  }

 private:
  std::size_t take_judging(base::Bytes bytes) {
    sniffer::ChunkedContent content;
    content.trailer = [this](const sniffer::HeaderField& field) {
      if (judge_own_field(transforms_, field.name, field.value) != OwnField::kKeep) {
        refuse("a trailer named as a header that the policy sets");
      }
      policy::OverrideHeaders overrides;
      overrides.see(field.name, {});
      if ((by_method_ && !overrides.method.empty()) || (by_path_ && !overrides.path.empty())) {
        refuse("a trailer that names another method or path than the rule is about");
      }
    };
    return chunks_.feed(bytes, &content);
  }
  void refuse(std::string_view why) {
    refused_ = true;
    refusal_ = why;
  }

  base::Bytes chunk_of(base::Bytes data) {
    chunk_.clear();
    if (!data.empty()) {
      std::array<char, 16> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), data.size(), 16).ptr;
      chunk_.append(digits.data(), end).append("\r\n").append(base::as_text(data)).append("\r\n");
    }
    if (remaining_ == 0) chunk_ += "0\r\n\r\n";
    return base::as_bytes(chunk_);
  }

  sniffer::BodyFraming framing_ = sniffer::BodyFraming::kNone;
  std::uint64_t remaining_ = 0;
  sniffer::ChunkedScanner chunks_;
  std::span<const policy::HeaderTransform> transforms_;
  bool refused_ = false;
  std::string_view refusal_;  // static text
  bool by_method_ = false;
  bool by_path_ = false;
  bool as_chunks_ = false;
  std::string chunk_;
};

}  // namespace soleroute::gateway::http::h1
