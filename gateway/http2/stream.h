// One HTTP/2 stream: a request and its answer, as one side of a connection sees them.
// Not thread-safe: belongs to one worker. Shared by its session, until it is closed, and by whoever carries it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "gateway/http2/body.h"
#include "gateway/http2/field.h"

namespace soleroute::gateway::http2 {

class Session;

inline constexpr std::size_t kMaxHeaderList =
    std::size_t{64} * 1024;  // decompressed, as SETTINGS_MAX_HEADER_LIST_SIZE counts
inline constexpr std::size_t kMaxFields = 256;
inline constexpr int kMaxInterim = 32;  // 1xx responses to one request

// RFC 9113 section 7.
enum ErrorCode : std::uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kRefusedStream = 0x7,
  kCancel = 0x8,
  kEnhanceYourCalm = 0xb,
};

class Stream {
 public:
  // `session` points to null once the session is gone.
  Stream(std::shared_ptr<Session*> session, std::int32_t id) : session_(std::move(session)), id_(id) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  // --- What the peer sent: the request, or the answer to one's own.
  [[nodiscard]] bool has_head() const { return has_head_; }
  [[nodiscard]] const Fields& head() const { return head_; }
  [[nodiscard]] bool head_too_large() const { return too_large_; }  // head() is then cut short
  [[nodiscard]] std::vector<Fields> take_interim();                 // 1xx responses since the last time
  [[nodiscard]] const std::shared_ptr<Body>& received() const { return received_; }

  // --- What is sent to it. Nothing happens on a stream that is closed.
  void send_interim(const Fields& fields);
  // The answer to a request. Without `body` it ends with the head.
  void respond(const Fields& head, std::shared_ptr<Body> body);
  void reset(std::uint32_t code);
  [[nodiscard]] bool sent_end() const { return sent_end_; }

  // Closed: both sides have ended, or somebody reset it, or the connection is gone.
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] std::uint32_t error_code() const { return error_code_; }

  // After each head, each end of what is sent, and the close. Must not destroy the stream.
  std::function<void()> on_change;

 private:
  friend class Session;
  void notify() const {
    if (on_change) on_change();
  }

  std::shared_ptr<Session*> session_;
  std::int32_t id_;
  bool has_head_ = false;
  bool too_large_ = false;
  bool sent_end_ = false;
  bool closed_ = false;
  bool reset_here_ = false;  // by us, and not because of what the peer sent
  bool deferred_ = false;    // nghttp2 waits to be told that there is more to send
  int interims_ = 0;
  std::uint32_t error_code_ = 0;
  std::size_t block_size_ = 0;
  net::HeldBytes held_head_;      // of head_, block_ and interim_
  std::size_t held_interim_ = 0;  // of it, of interim_
  net::HeldBytes held_unsent_;    // of heads that nghttp2 has not sent yet
  Fields block_;                  // the header block that is being received
  Fields head_;
  std::vector<Fields> interim_;
  std::shared_ptr<Body> received_ = std::make_shared<Body>();
  std::shared_ptr<Body> outgoing_;
};

}  // namespace soleroute::gateway::http2
