// The state of one HTTP/2 connection: bytes of the peer in, streams and bytes for the peer out. Opens nothing, waits
// for nothing, and gives no more window than what was taken from a body, so that pressure goes back to who sends. Not
// thread-safe: belongs to one worker. nghttp2 stays behind this header.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/byte_reader.h"
#include "gateway/http2/frame_watch.h"
#include "gateway/http2/stream.h"
#include "gateway/net/deadline_wheel.h"

struct nghttp2_session;

namespace soleroute::gateway::http2 {

inline constexpr std::uint32_t kMaxStreams = 100;  // that a client may have open at once
// What a peer may send before somebody takes it. Clients are near; origins may be far, and need more to be fast.
inline constexpr std::uint32_t kClientStreamWindow = 256 * 1024;
inline constexpr std::int32_t kClientWindow = 1 << 20;
inline constexpr std::uint32_t kOriginStreamWindow = 1 << 20;
inline constexpr std::int32_t kOriginWindow = 4 << 20;

class Session {
 public:
  struct Events {
    std::function<void(std::shared_ptr<Stream>)> request;  // server: its head is whole
    std::function<void()> refused;                         // server: a request that is none was reset
    std::function<void()> settings;                        // the peer's have come
    std::function<void()> wake;                            // there may be something to collect
  };
  Session(Role role, Events events);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  enum class Received : std::uint8_t {
    kSound,
    kFault,  // the peer has broken the protocol or a bound; the last word to it can be collected
  };
  [[nodiscard]] Received receive(base::Bytes bytes, net::Clock::time_point now);
  // Appends what is to be sent, until `out` holds `limit` bytes or a frame more.
  void collect(std::string& out, std::size_t limit);
  // Nothing is to be sent any more, and nothing received counts.
  [[nodiscard]] bool over() const;
  [[nodiscard]] const std::string& fault() const { return fault_; }  // of the peer; empty if in order
  [[nodiscard]] bool in_header_block() const { return watch_.in_header_block(); }
  [[nodiscard]] std::size_t open_streams() const { return streams_.size(); }

  // Before the first stream: the account that what its streams hold is in.
  void account_to(std::shared_ptr<net::ClientBuffers> buffers) { buffers_ = std::move(buffers); }
  // Of bodies that the peer has sent, and nobody has taken yet.
  [[nodiscard]] std::size_t untaken() const { return untaken_; }
  // From now on a stream that sends more of its body is reset.
  void refuse_data(bool refuse) { refuses_data_ = refuse; }
  [[nodiscard]] bool refuses_data() const { return refuses_data_; }

  // --- As a client.
  // Never null; closed with kRefusedStream if the origin takes no more. Without `body` the request ends with its head.
  [[nodiscard]] std::shared_ptr<Stream> request(const Fields& head, std::shared_ptr<Body> body);
  [[nodiscard]] bool takes_requests() const;
  [[nodiscard]] bool has_settings() const { return has_settings_; }
  [[nodiscard]] bool peer_takes_websockets() const;  // RFC 8441 section 3

  // --- As a server: extended CONNECT is understood from now on.
  void offer_websockets();

  // GOAWAY. With kNoError the streams that there are may end.
  void go_away(std::uint32_t code);
  // The connection is gone: every stream is closed.
  void disconnected();

 private:
  friend class Stream;
  struct Callbacks;
  struct Deleter {
    void operator()(nghttp2_session* session) const;
  };

  void submit_settings();
  void broken(std::string_view why);
  void provoked_reset();
  void wake() const {
    if (events_.wake) events_.wake();
  }
  void add(const std::shared_ptr<Stream>& stream);
  void close_stream(std::int32_t id, std::uint32_t code);
  void watch_outgoing(Stream& stream);
  void consume(std::int32_t id, std::size_t count);

  Role role_;
  Events events_;
  std::shared_ptr<Session*> self_ = std::make_shared<Session*>(this);  // for streams that outlive it
  FrameWatch watch_;
  std::map<std::int32_t, std::shared_ptr<Stream>> streams_;
  std::unique_ptr<nghttp2_session, Deleter> session_;
  std::shared_ptr<net::ClientBuffers> buffers_;
  std::size_t untaken_ = 0;
  std::string* out_ = nullptr;  // during collect()
  std::size_t out_limit_ = 0;
  bool has_settings_ = false;
  bool offers_websockets_ = false;
  bool going_away_ = false;  // the peer takes no more requests
  bool broken_ = false;
  bool refuses_data_ = false;
  std::string fault_;
};

}  // namespace soleroute::gateway::http2
