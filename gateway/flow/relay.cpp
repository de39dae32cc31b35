// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/relay.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/flow/pipe_pool.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kScratchBytes = std::size_t{64} * 1024;
constexpr std::size_t kSpliceAfter =
    std::size_t{64} * 1024;  // bytes copied without a pause; measured in docs/performance.md
constexpr std::size_t kSpliceWorth =
    std::size_t{16} * 1024;                       // moving less than this between two pauses, copying is cheaper
constexpr std::size_t kCopiedWithoutRoom = 4096;  // for a client that the gateway holds enough for
constexpr std::size_t kTurnBytes =
    std::size_t{16} * 1024 * 1024;  // then other connections of the worker have their turn

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
      : from_(from), to_(to), pipes_(pipes), held_(to.buffers()), plain_(from.is_plain() && to.is_plain()) {}
  Direction(const Direction&) = delete;
  Direction& operator=(const Direction&) = delete;
  ~Direction() {
    if (pipe_) pipes_.give_back(std::move(*pipe_));
  }

  [[nodiscard]] Stop move();
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  // Nothing: go on. Each of these either gets everything done or says why not.
  using Blocked = std::optional<Stop>;
  [[nodiscard]] Blocked flush_pipe();
  [[nodiscard]] Blocked flush_kept();
  [[nodiscard]] Blocked splice_once();
  [[nodiscard]] Blocked copy_once();
  [[nodiscard]] Blocked blocked_by(net::IoResult read);
  [[nodiscard]] Blocked write(std::span<const std::byte> bytes, bool is_last);
  [[nodiscard]] net::IoResult send(std::span<const std::byte> bytes, bool is_last);
  Stop pause(Stop reason);

  net::Stream& from_;
  net::Stream& to_;
  PipePool& pipes_;
  std::optional<Pipe> pipe_;
  std::vector<std::byte> kept_;
  net::HeldBytes held_;  // what is kept, here or in the pipe
  std::uint64_t total_ = 0;
  std::size_t since_pause_ = 0;
  bool plain_;
  bool bulk_ = false;   // worth splicing
  bool ended_ = false;  // `from` has nothing more; what is kept goes first
};

Direction::Blocked Direction::flush_pipe() {
  while (pipe_ && pipe_->held > 0) {
    const ssize_t moved = ::splice(pipe_->read_end.get(), nullptr, to_.native_handle(), nullptr, pipe_->held,
                                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved <= 0) return moved < 0 && would_block(errno) ? Stop::kNoRoom : Stop::kFailed;
    pipe_->held -= static_cast<std::size_t>(moved);
  }
  return std::nullopt;
}

Direction::Blocked Direction::flush_kept() {
  while (!kept_.empty()) {
    const auto written = send(kept_, ended_);
    if (written.would_block()) return Stop::kNoRoom;
    if (written.failed()) return Stop::kFailed;
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(written.count()));
    if (kept_.size() < kept_.capacity() / 2) kept_.shrink_to_fit();
  }
  std::vector<std::byte>().swap(kept_);  // an idle connection holds no buffer
  return std::nullopt;
}

Direction::Blocked Direction::splice_once() {
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
net::IoResult Direction::send(std::span<const std::byte> bytes, bool is_last) {
  if (!is_last || !plain_) return to_.try_write_some(bytes);
  const ssize_t count = ::send(to_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);
  if (count >= 0) return net::IoResult::bytes(static_cast<std::size_t>(count));
  return would_block(errno) ? net::IoResult::blocked() : net::IoResult::failure("write", errno);
}

Direction::Blocked Direction::write(std::span<const std::byte> bytes, bool is_last) {
  const auto written = send(bytes, is_last);
  if (written.failed()) return Stop::kFailed;
  bytes = bytes.subspan(written.count());
  kept_.assign(bytes.begin(), bytes.end());
  return flush_kept();
}

// To reading on.
Direction::Blocked Direction::blocked_by(net::IoResult read) {
  using Kind = net::IoResult::Kind;
  switch (read.kind()) {
    case Kind::kWouldBlock:
      return Stop::kNoInput;
    case Kind::kEnd:
      return Stop::kEndOfStream;
    case Kind::kFailed:
      return Stop::kFailed;
    case Kind::kBytes:
      break;
  }
  return from_.wait_before_reading() ? Blocked(Stop::kNoInput) : std::nullopt;
}

// Everything that is there, up to the size of the scratch buffer, in one write.
Direction::Blocked Direction::copy_once() {
  const auto buffer = scratch().first(held_.has_room() ? kScratchBytes : kCopiedWithoutRoom);
  std::size_t count = 0;
  Blocked blocked;
  while (!blocked && count < buffer.size()) {
    const auto read = from_.try_read_some(buffer.subspan(count));
    count += read.count();
    blocked = blocked_by(read);
  }
  total_ += count;
  since_pause_ += count;
  ended_ = blocked == Stop::kEndOfStream;
  if (count == 0) return blocked;
  const Blocked unwritten = write(buffer.first(count), ended_);
  return unwritten ? unwritten : blocked;
}

Stop Direction::pause(Stop reason) {
  if (reason == Stop::kNoInput) {
    bulk_ = since_pause_ >= (bulk_ ? kSpliceWorth : kSpliceAfter);
    since_pause_ = 0;
  }
  held_.set(kept_.capacity() + (pipe_ ? pipe_->held : 0));
  const bool empty = pipe_ && pipe_->held == 0;
  if (empty) {
    pipes_.give_back(std::move(*pipe_));
    pipe_.reset();
  }
  return reason;
}

Stop Direction::move() {
  const std::uint64_t turn_end = total_ + kTurnBytes;
  Blocked blocked = pipe_ ? flush_pipe() : flush_kept();
  while (!blocked) {
    if (ended_) return pause(Stop::kEndOfStream);
    if (total_ >= turn_end) return pause(Stop::kTurnOver);
    const bool splice = plain_ && held_.has_room() && (bulk_ || since_pause_ >= kSpliceAfter);
    if (splice && !pipe_) pipe_ = pipes_.borrow();
    blocked = splice && pipe_ ? splice_once() : copy_once();  // a pipe that is left here is empty
  }
  return pause(*blocked);
}

// A stream whose peer broke off is reset towards the other side, unless that would lose bytes still on their way.
void abort_stream(net::Stream& stream) {
  if (!stream.is_open()) return;
  int unsent = 0;
  if (::ioctl(stream.native_handle(), SIOCOUTQ, &unsent) == 0 && unsent == 0) return stream.reset();
  stream.close();
}

// Both directions. No coroutines: an idle connection holds this and no frames. Kept alive by what is waited for; when
// the loop is destroyed, that goes, and takes the relay and with it the flow that awaits it.
class Relay final : public std::enable_shared_from_this<Relay> {
 public:
  using Done = std::move_only_function<void(RelayTotals)>;

  Relay(net::Stream& client, net::Stream& origin, PipePool& pipes, asio::any_io_executor executor, Done done)
      : done_(std::move(done)),
        executor_(std::move(executor)),
        client_(client),
        origin_(origin),
        upward_(*this, client, origin, pipes),
        downward_(*this, origin, client, pipes) {}

  void start() {
    upward_.begin();
    downward_.begin();
    if (running_ > 0) return void(started_ = true);
    asio::post(executor_, [self = shared_from_this()] { self->finish(); });  // not before the flow waits for it
  }

 private:
  class Pump final : public net::Readiness::Waiter {
   public:
    Pump(Relay& relay, net::Stream& from, net::Stream& to, PipePool& pipes)
        : relay_(relay), from_(from), to_(to), direction_(from, to, pipes) {}

    void begin();
    void ready(int error) override;
    [[nodiscard]] std::uint64_t total() const { return direction_.total(); }

   private:
    enum class Next : std::uint8_t { kWaits, kIsOver, kIsBroken };
    [[nodiscard]] Next advance();
    void go_on_later();
    void end_of_stream();

    Relay& relay_;
    net::Stream& from_;
    net::Stream& to_;
    Direction direction_;
  };

  void touch();
  void pump_ended();
  void finish();
  [[nodiscard]] std::shared_ptr<Pump> shared(Pump& pump) { return {shared_from_this(), &pump}; }

  Done done_;
  asio::any_io_executor executor_;
  net::Stream& client_;
  net::Stream& origin_;
  Pump upward_;
  Pump downward_;
  int running_ = 2;
  bool started_ = false;
  bool half_closed_ = false;
};

void Relay::touch() {
  client_.expires_after(kRelayIdle);
  origin_.expires_after(kRelayIdle);
}

void Relay::pump_ended() {
  if (--running_ == 0 && started_) finish();
}

void Relay::finish() {
  Done done = std::exchange(done_, nullptr);
  done({upward_.total(), downward_.total()});
}

// What there was has been read; there is rarely more yet.
void Relay::Pump::begin() {
  relay_.touch();
  const auto wait = from_.start_wait(net::Readiness::For::kReading, relay_.shared(*this));
  if (wait == net::Stream::Wait::kNoNeed) ready(0);
}

void Relay::Pump::end_of_stream() {
  // When both directions are over, closing a socket says the same.
  const bool both = std::exchange(relay_.half_closed_, true);
  if (!both || !to_.is_plain()) to_.shutdown_send();
  relay_.touch();
}

void Relay::Pump::go_on_later() {
  asio::post(relay_.executor_, [self = relay_.shared(*this)] { self->ready(0); });
}

// Moves what can be moved without waiting.
Relay::Pump::Next Relay::Pump::advance() {
  using For = net::Readiness::For;
  using Wait = net::Stream::Wait;
  for (;;) {
    if (from_.timed_out() || to_.timed_out()) return Next::kIsBroken;  // its socket itself may still be tried in vain
    relay_.touch();
    switch (direction_.move()) {
      case Stop::kNoInput:
        if (from_.start_wait(For::kReading, relay_.shared(*this)) == Wait::kStarted) return Next::kWaits;
        break;
      case Stop::kNoRoom:
        if (to_.start_wait(For::kWriting, relay_.shared(*this)) == Wait::kStarted) return Next::kWaits;
        break;
      case Stop::kTurnOver:
        go_on_later();
        return Next::kWaits;
      case Stop::kEndOfStream:
        end_of_stream();
        return Next::kIsOver;
      case Stop::kFailed:
        return Next::kIsBroken;
    }
  }
}

void Relay::Pump::ready(int error) {
  auto next = Next::kIsBroken;
  try {
    if (error == 0) next = advance();
  } catch (const std::bad_alloc&) {
    next = Next::kIsBroken;
  }
  if (next == Next::kWaits) return;
  if (next == Next::kIsBroken) {  // neither direction goes on alone
    abort_stream(to_);
    abort_stream(from_);
  }
  relay_.pump_ended();
}

}  // namespace

asio::awaitable<RelayTotals> relay(net::Stream& client, net::Stream& origin, PipePool& pipes) {
  const auto start = [&client, &origin, &pipes](auto handler) {
    const asio::any_io_executor executor = asio::get_associated_executor(handler);
    std::make_shared<Relay>(client, origin, pipes, executor, std::move(handler))->start();
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(RelayTotals)>(start, asio::use_awaitable);
}

}  // namespace soleroute::gateway::flow
