// How the HTTP/1 flows read and write: small buffers while waiting, one large one for a worker while bytes pour in, and
// a write that only suspends when it must.
// Used by what carries HTTP/1.1 on either side.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>

#include "base/byte_reader.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::http::h1 {

inline constexpr std::size_t kSmallRead = 4096;                   // held by a connection that waits
inline constexpr std::size_t kBulkRead = std::size_t{64} * 1024;  // borrowed for a moment from the worker
inline constexpr int kMaxBulkReads = 16;                          // in a row
inline constexpr std::size_t kMaxDrained = 1 << 20;  // read and dropped of a request body after an early answer
inline constexpr std::chrono::milliseconds kBodyIdle{std::chrono::minutes(60)};  // a body that stands still

// A body's turn: after so many bytes, or so many reads, of a body that never has to wait, the worker's other flows go
// first.
class Turn {
 public:
  static constexpr std::size_t kBytes = 1 << 20;
  static constexpr int kReads = 64;
  // True once the turn is over; the next one begins.
  [[nodiscard]] bool over(std::size_t bytes) {
    bytes_ += bytes;
    if (++reads_ < kReads && bytes_ < kBytes) return false;
    reads_ = 0;
    bytes_ = 0;
    return true;
  }

 private:
  std::size_t bytes_ = 0;
  int reads_ = 0;
};
// Whatever is ready goes first.
[[nodiscard]] boost::asio::awaitable<void> let_others();

// kBulkRead bytes, one for a worker: filled and emptied without suspending in between. Less for a stream whose client
// has no room for what may have to be kept of them.
[[nodiscard]] std::span<std::byte> bulk_buffer(const net::Stream& to);

// Writes what is taken at once and leaves the rest in `bytes`.
[[nodiscard]] net::Written write_now(net::Stream& to, base::Bytes& bytes);
// All of it; a peer that takes nothing for kBodyIdle is given up.
[[nodiscard]] boost::asio::awaitable<net::Written> write_rest(net::Stream& to, base::Bytes bytes);
// All of it, from bulk_buffer(): what cannot be written at once is copied before anything waits.
[[nodiscard]] boost::asio::awaitable<net::Written> write_bulk(net::Stream& to, base::Bytes bytes);

// Nobody reads from a client that waits for its answer: looks now and then whether it is still there.
class ClientWatch final : private net::Deadline {
 public:
  // `gone`: it has broken off. One that has only ended its side may still read.
  ClientWatch(net::DeadlineWheel& wheel, net::Stream& client, std::function<void()> gone);
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;
  ~ClientWatch() override { disarm(); }

 private:
  static constexpr std::chrono::milliseconds kEvery{5000};
  void expired() override;

  net::DeadlineWheel& wheel_;
  net::Stream& client_;
  std::function<void()> gone_;
};

}  // namespace soleroute::gateway::http::h1
