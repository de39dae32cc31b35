// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/relay.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <vector>

#include "gateway/flow/pipe_pool.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kScratchBytes = 64 * 1024;
constexpr std::size_t kSpliceAfter = 64 * 1024;  // bytes copied without a pause; measured in docs/performance.md
constexpr std::size_t kSpliceWorth = 16 * 1024;  // moving less than this at once, copying is cheaper

// Filled and emptied without suspending in between, so one for a worker serves all its connections.
std::span<std::byte> scratch() {
  thread_local std::vector<std::byte> buffer(kScratchBytes);
  return buffer;
}

enum class End { kEndOfStream, kFailed };

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

// What one step of a direction came to: moved bytes (0: nothing there now), or the end.
using Step = std::expected<std::size_t, End>;

asio::awaitable<Step> copy_step(net::Stream& from, net::Stream& to) {
  const auto buffer = scratch();
  const auto read = from.try_read_some(buffer);
  if (!read) co_return std::size_t{0};
  if (!*read) co_return std::unexpected(End::kFailed);
  const std::size_t count = **read;
  if (count == 0) co_return std::unexpected(End::kEndOfStream);
  std::span<const std::byte> pending = buffer.first(count);
  const auto written = to.try_write_some(pending);
  if (written && !*written) co_return std::unexpected(End::kFailed);
  pending = pending.subspan(written ? **written : 0);
  if (pending.empty()) co_return count;
  const std::vector<std::byte> kept(pending.begin(), pending.end());
  if (auto rest = co_await to.write_all(kept); !rest) co_return std::unexpected(End::kFailed);
  co_return count;
}

asio::awaitable<bool> drain_pipe(Pipe& pipe, net::Stream& to) {
  while (pipe.held > 0) {
    const ssize_t moved = ::splice(pipe.read_end.get(), nullptr, to.native_handle(), nullptr, pipe.held,
                                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved > 0) {
      pipe.held -= static_cast<std::size_t>(moved);
      continue;
    }
    if (moved == 0 || (errno != EAGAIN && errno != EINTR)) co_return false;
    if (auto writable = co_await to.wait_writable(); !writable) co_return false;
  }
  co_return true;
}

asio::awaitable<Step> splice_step(net::Stream& from, net::Stream& to, Pipe& pipe) {
  const ssize_t count = ::splice(from.native_handle(), nullptr, pipe.write_end.get(), nullptr, pipe.capacity,
                                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (count == 0) co_return std::unexpected(End::kEndOfStream);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) co_return std::size_t{0};
  if (count < 0) co_return std::unexpected(End::kFailed);
  pipe.held = static_cast<std::size_t>(count);
  const bool drained = co_await drain_pipe(pipe, to);
  if (!drained) co_return std::unexpected(End::kFailed);
  co_return static_cast<std::size_t>(count);
}

// Everything that can be moved until `from` has nothing more for now. `total` grows.
asio::awaitable<std::optional<End>> move_available(net::Stream& from, net::Stream& to, Link& link,
                                                   std::uint64_t& total) {
  const bool can_splice = from.is_plain() && to.is_plain();
  std::size_t burst = 0;
  std::optional<Pipe> pipe;
  for (;;) {
    if (can_splice && burst >= kSpliceAfter && !pipe) pipe = link.pipes.borrow();
    const Step step = pipe ? co_await splice_step(from, to, *pipe) : co_await copy_step(from, to);
    const std::size_t count = step ? *step : 0;
    total += count;
    burst += count;
    const bool exhausted = !step || count == 0 || (!pipe && count < kScratchBytes);
    if (!exhausted && (!pipe || count >= kSpliceWorth)) continue;
    if (!exhausted) burst = 0;
    if (pipe) link.pipes.give_back(std::move(*pipe));
    pipe.reset();
    if (!step) co_return step.error();
    if (exhausted) co_return std::nullopt;
  }
}

// A stream whose peer broke off is reset towards the other side, unless that would lose bytes still on their way.
void abort_stream(net::Stream& stream) {
  if (!stream.is_open()) return;
  int unsent = 0;
  if (::ioctl(stream.native_handle(), SIOCOUTQ, &unsent) == 0 && unsent == 0) return stream.reset();
  stream.close();
}

asio::awaitable<void> pump(net::Stream& from, net::Stream& to, Link& link, std::uint64_t& total) {
  for (;;) {
    link.touch();
    const auto ended = co_await move_available(from, to, link, total);
    if (ended == End::kEndOfStream) {
      to.shutdown_send();
      link.half_closed = true;
      link.touch();
      break;
    }
    const bool readable = !ended && (co_await from.wait_readable()).has_value();
    if (readable) continue;
    abort_stream(to);
    abort_stream(from);
    break;
  }
}

}  // namespace

asio::awaitable<RelayTotals> relay(net::Stream& client, net::Stream& origin, PipePool& pipes) {
  RelayTotals totals;
  Link link{client, origin, pipes};
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer finished(executor, asio::steady_timer::time_point::max());
  auto backward = pump(origin, client, link, totals.to_client);
  bool backward_over = false;
  const auto wake = [&](const std::exception_ptr& error) {
    if (error) {  // out of memory: neither direction goes on alone
      client.reset();
      origin.reset();
    }
    backward_over = true;
    finished.cancel();
  };
  asio::co_spawn(executor, std::move(backward), wake);
  co_await pump(client, origin, link, totals.from_client);
  if (!backward_over) co_await finished.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return totals;
}

}  // namespace soleroute::gateway::flow
