// Drives one HTTP/2 session over a stream of bytes: reads what comes, writes what is there in large pieces, ends it.
// Not thread-safe: belongs to one worker; borrows the stream of bytes.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

#include "gateway/http2/session.h"
#include "gateway/net/event.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::http2 {

inline constexpr std::chrono::milliseconds kHeaderBlockTimeout{10000};  // also for the first bytes of a client
inline constexpr std::chrono::milliseconds kIdleConnection{std::chrono::minutes(60)};  // without a stream
inline constexpr std::chrono::milliseconds kWriteStall{std::chrono::minutes(60)};      // a peer that takes nothing
// A client for which as much is held as may be, and of whose bodies nobody takes anything, is read on after this for
// the sake of what frees memory (RST_STREAM, WINDOW_UPDATE); a stream that sends more of its body is reset.
inline constexpr std::chrono::milliseconds kRoomPatience{2000};
// Streams have their own deadlines, all of them shorter.
inline constexpr std::chrono::milliseconds kBusyConnection{std::chrono::minutes(90)};

class Connection {
 public:
  Connection(boost::asio::any_io_executor executor, net::Stream& stream, Role role, Session::Events events);

  // Until the connection is over; all streams are closed then, and so is the stream of bytes.
  [[nodiscard]] boost::asio::awaitable<void> run();

  [[nodiscard]] Session& session() { return session_; }
  // Ends it now, with GOAWAY if that can still be sent.
  void close();

 private:
  [[nodiscard]] boost::asio::awaitable<void> read();
  [[nodiscard]] boost::asio::awaitable<void> write();
  [[nodiscard]] boost::asio::awaitable<void> drain();
  enum class Peer : std::uint8_t { kIsThere, kHungUp };
  // While it is full, and for no longer than kRoomPatience.
  [[nodiscard]] boost::asio::awaitable<Peer> wait_for_room();
  // What cannot be written at once is left in pending_.
  [[nodiscard]] net::Written write_now();
  // Enough is held for the client: no more is taken of what goes to or comes from elsewhere.
  [[nodiscard]] bool is_full() const;
  void touch();
  void say_last_word();

  boost::asio::any_io_executor executor_;
  net::Stream& stream_;
  Role role_;
  net::Event to_write_;
  net::Event writer_ended_;
  Session session_;
  std::string pending_;
  net::HeldBytes held_;  // pending_
  boost::asio::steady_timer pause_;
  bool started_ = false;   // the peer has sent something
  bool in_block_ = false;  // whose deadline must not be moved by more of it
  bool ended_ = false;
};

}  // namespace soleroute::gateway::http2
