// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/relay.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/flow/pipe_pool.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kScratchBytes = 64 * 1024;
constexpr std::size_t kSpliceAfter = 64 * 1024;       // bytes copied without a pause; measured in docs/performance.md
constexpr std::size_t kSpliceWorth = 16 * 1024;       // moving less than this between two pauses, copying is cheaper
constexpr std::size_t kTurnBytes = 16 * 1024 * 1024;  // then other connections of the worker have their turn

// Filled and emptied without suspending in between, so one for a worker serves all its connections.
std::span<std::byte> scratch() {
  thread_local std::vector<std::byte> buffer(kScratchBytes);
  return buffer;
}

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

// Why a direction stopped moving.
enum class Stop { kNoInput, kNoRoom, kTurnOver, kEndOfStream, kFailed };

// One direction: moves bytes as long as it can without waiting. What was read and did not fit is kept until it does.
class Direction {
 public:
  Direction(net::Stream& from, net::Stream& to, PipePool& pipes)
      : from_(from), to_(to), pipes_(pipes), plain_(from.is_plain() && to.is_plain()) {}

  [[nodiscard]] Stop move();
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  // Nothing: go on. Each of these either gets everything done or says why not.
  using Obstacle = std::optional<Stop>;
  [[nodiscard]] Obstacle flush_pipe();
  [[nodiscard]] Obstacle flush_kept();
  [[nodiscard]] Obstacle splice_once();
  [[nodiscard]] Obstacle copy_once();
  [[nodiscard]] Obstacle write(std::span<const std::byte> bytes, bool is_last);
  [[nodiscard]] std::optional<base::Result<std::size_t>> send(std::span<const std::byte> bytes, bool is_last);
  Stop pause(Stop reason);

  net::Stream& from_;
  net::Stream& to_;
  PipePool& pipes_;
  std::optional<Pipe> pipe_;
  std::vector<std::byte> kept_;
  std::uint64_t total_ = 0;
  std::size_t since_pause_ = 0;
  bool plain_;
  bool bulk_ = false;   // worth splicing
  bool ended_ = false;  // `from` has nothing more; what is kept goes first
};

Direction::Obstacle Direction::flush_pipe() {
  while (pipe_ && pipe_->held > 0) {
    const ssize_t moved = ::splice(pipe_->read_end.get(), nullptr, to_.native_handle(), nullptr, pipe_->held,
                                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved <= 0) return moved < 0 && would_block(errno) ? Stop::kNoRoom : Stop::kFailed;
    pipe_->held -= static_cast<std::size_t>(moved);
  }
  return std::nullopt;
}

Direction::Obstacle Direction::flush_kept() {
  while (!kept_.empty()) {
    const auto written = send(kept_, ended_);
    if (!written) return Stop::kNoRoom;
    if (!*written) return Stop::kFailed;
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(**written));
  }
  std::vector<std::byte>().swap(kept_);  // an idle connection holds no buffer
  return std::nullopt;
}

Direction::Obstacle Direction::splice_once() {
  const ssize_t count = ::splice(from_.native_handle(), nullptr, pipe_->write_end.get(), nullptr, pipe_->capacity,
                                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count == 0) return Stop::kEndOfStream;
  if (count < 0) return would_block(errno) ? Stop::kNoInput : Stop::kFailed;
  pipe_->held = static_cast<std::size_t>(count);
  total_ += pipe_->held;
  since_pause_ += pipe_->held;
  return flush_pipe();
}

// The last bytes and the end of the stream leave in one segment.
std::optional<base::Result<std::size_t>> Direction::send(std::span<const std::byte> bytes, bool is_last) {
  if (!is_last || !plain_) return to_.try_write_some(bytes);
  const ssize_t count = ::send(to_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (would_block(errno)) return std::nullopt;
  return base::errno_error("write");
}

Direction::Obstacle Direction::write(std::span<const std::byte> bytes, bool is_last) {
  const auto written = send(bytes, is_last);
  if (written && !*written) return Stop::kFailed;
  bytes = bytes.subspan(written ? **written : 0);
  kept_.assign(bytes.begin(), bytes.end());
  return flush_kept();
}

// Everything that is there, up to the size of the scratch buffer, in one write.
Direction::Obstacle Direction::copy_once() {
  const auto buffer = scratch();
  std::size_t count = 0;
  Obstacle obstacle;
  while (!obstacle && count < buffer.size()) {
    const auto read = from_.try_read_some(buffer.subspan(count));
    if (!read) {
      obstacle = Stop::kNoInput;
    } else if (!*read) {
      obstacle = Stop::kFailed;
    } else if (**read == 0) {
      obstacle = Stop::kEndOfStream;
    } else {
      count += **read;
    }
  }
  total_ += count;
  since_pause_ += count;
  ended_ = obstacle == Stop::kEndOfStream;
  if (count == 0) return obstacle;
  const Obstacle unwritten = write(buffer.first(count), ended_);
  return unwritten ? unwritten : obstacle;
}

Stop Direction::pause(Stop reason) {
  if (reason == Stop::kNoInput) {
    bulk_ = since_pause_ >= (bulk_ ? kSpliceWorth : kSpliceAfter);
    since_pause_ = 0;
  }
  const bool empty = pipe_ && pipe_->held == 0;
  if (empty) {
    pipes_.give_back(std::move(*pipe_));
    pipe_.reset();
  }
  return reason;
}

Stop Direction::move() {
  const std::uint64_t turn_end = total_ + kTurnBytes;
  Obstacle obstacle = pipe_ ? flush_pipe() : flush_kept();
  while (!obstacle) {
    if (ended_) return Stop::kEndOfStream;
    if (total_ >= turn_end) return pause(Stop::kTurnOver);
    const bool splice = plain_ && (bulk_ || since_pause_ >= kSpliceAfter);
    if (splice && !pipe_) pipe_ = pipes_.borrow();
    obstacle = splice && pipe_ ? splice_once() : copy_once();
  }
  return pause(*obstacle);
}

// Both directions' view of the relay. Lives in relay()'s frame.
struct Link {
  net::Stream& client;
  net::Stream& origin;
  PipePool& pipes;
  bool half_closed = false;

  void touch() const {
    const auto idle = half_closed ? kRelayHalfClosedIdle : kRelayIdle;
    client.expires_after(idle);
    origin.expires_after(idle);
  }
};

// A stream whose peer broke off is reset towards the other side, unless that would lose bytes still on their way.
void abort_stream(net::Stream& stream) {
  if (!stream.is_open()) return;
  int unsent = 0;
  if (::ioctl(stream.native_handle(), SIOCOUTQ, &unsent) == 0 && unsent == 0) return stream.reset();
  stream.close();
}

asio::awaitable<void> pump(net::Stream& from, net::Stream& to, Link& link, std::uint64_t& total) {
  Direction direction(from, to, link.pipes);
  bool usable = true;
  while (usable) {
    link.touch();
    const Stop stop = direction.move();
    total = direction.total();
    if (stop == Stop::kEndOfStream) {
      // When both directions are over, closing a socket says the same.
      const bool both = std::exchange(link.half_closed, true);
      if (!both || !to.is_plain()) to.shutdown_send();
      link.touch();
      co_return;
    }
    if (stop == Stop::kTurnOver) {
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    } else if (stop == Stop::kNoRoom) {
      usable = (co_await to.wait_writable()).has_value();
    } else {
      usable = stop == Stop::kNoInput && (co_await from.wait_readable()).has_value();
    }
  }
  abort_stream(to);
  abort_stream(from);
}

}  // namespace

asio::awaitable<RelayTotals> relay(net::Stream& client, net::Stream& origin, PipePool& pipes) {
  RelayTotals totals;
  Link link{client, origin, pipes};
  const auto executor = co_await asio::this_coro::executor;
  std::optional<asio::steady_timer> awaited;  // made when there is something to wait for
  auto backward = pump(origin, client, link, totals.to_client);
  bool backward_over = false;
  const auto wake = [&](const std::exception_ptr& error) {
    if (error) {  // out of memory: neither direction goes on alone
      client.reset();
      origin.reset();
    }
    backward_over = true;
    if (awaited) awaited->cancel();
  };
  asio::co_spawn(executor, std::move(backward), wake);
  co_await pump(client, origin, link, totals.from_client);
  if (!backward_over) {
    awaited.emplace(executor, asio::steady_timer::time_point::max());
    co_await awaited->async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return totals;
}

}  // namespace soleroute::gateway::flow
