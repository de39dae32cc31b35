// One allowed request and its answer: both bodies stream at once, unchanged and in constant memory.
// Runs on its worker's thread; everything given is borrowed until it returns.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gateway/http/h1/body.h"
#include "gateway/http/h1/buffer.h"
#include "gateway/http/h1/upstream.h"
#include "gateway/http/outcome.h"
#include "gateway/http/page.h"
#include "gateway/http/websocket_handshake.h"
#include "gateway/net/stream.h"
#include "policy/decision.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h1 {

inline constexpr std::chrono::milliseconds kResponseIdle{std::chrono::minutes(60)};  // long polls, event streams
inline constexpr int kMaxInterimResponses = 32;

// What is left of a request once its head may have been overwritten.
struct Request {
  std::string method;
  std::string target;  // origin-form
  std::string host;
  bool http11 = true;
  bool keep_alive = true;
  std::optional<WebSocketOffer> websocket{};  // asked for, and may be granted
  bool may_repeat = false;                    // idempotent (RFC 9110 section 9.2.2)
  BodyForm form = BodyForm::kText;            // of the gateway's own answer

  [[nodiscard]] bool is_head() const { return method == "HEAD"; }
};

// What is to be sent: the first `head_size` bytes of the client's buffer, or `edited` instead of them, then what is
// forwarded for the `body_size` bytes that followed at once: those, or `edited_body`.
struct Outgoing {
  std::size_t head_offset = 0;
  std::size_t head_size = 0;
  std::optional<std::string> edited;
  std::size_t body_size = 0;
  std::optional<std::string> edited_body{};
  BodyTracker body;       // has taken those body_size bytes
  net::HeldBytes held{};  // edited and edited_body

  void count_edited(std::shared_ptr<net::ClientBuffers> buffers) {
    held = net::HeldBytes(std::move(buffers));
    held.set((edited ? edited->capacity() : 0) + (edited_body ? edited_body->capacity() : 0));
  }
  void forget_edited() {
    edited.reset();
    edited_body.reset();
    body.sent();
    held.set(0);
  }
};

struct ExchangeResult {
  enum class Then : std::uint8_t {
    kNextRequest,
    kClose,   // answered, but nothing can follow
    kReset,   // the client must see that something is missing
    kSwitch,  // a 101 that answers the request was forwarded: both sides now speak WebSocket
    kRepeat,  // a kept connection turned out dead before anything was answered: send it again on a new one
  };
  Then then = Then::kReset;
  Outcome outcome{};
};

// `reused`: the upstream has answered another request before. Consumes the request from `received`, except for
// kRepeat. The client's stream is open afterwards, if it was not reset; the upstream only if it may be used again.
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange(net::DeadlineWheel& wheel, net::Stream& client,
                                                              ReadBuffer& received, Upstream& upstream,
                                                              const Request& request, Outgoing outgoing, bool reused);

}  // namespace soleroute::gateway::http::h1
