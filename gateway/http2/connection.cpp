// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/connection.h"

#include <poll.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <span>
#include <utility>
#include <vector>

namespace soleroute::gateway::http2 {
namespace {

namespace asio = boost::asio;
using net::Written;

constexpr std::size_t kReadSize = std::size_t{64} * 1024;
constexpr std::size_t kWriteSize = std::size_t{64} * 1024;
// For a client that the gateway holds as much for as it may.
constexpr std::size_t kWriteSizeWithoutRoom = std::size_t{16} * 1024;
constexpr std::size_t kUntakenWithoutRoom = std::size_t{16} * 1024;
constexpr std::chrono::milliseconds kRoomPause{100};
constexpr int kMaxBatches = 16;  // in a row; then the worker's other flows have their turn
constexpr std::chrono::milliseconds kLastWordTimeout{1000};

// One for a worker: filled and emptied without suspending in between.
std::span<std::byte> read_buffer() {
  thread_local std::vector<std::byte> buffer(kReadSize);
  return buffer;
}

std::string& write_buffer() {
  thread_local std::string buffer;
  buffer.clear();
  return buffer;
}

// A FIN is seen behind what has not been read, too.
bool has_hung_up(net::Stream& stream) {
  pollfd asked{stream.native_handle(), POLLRDHUP, 0};
  return ::poll(&asked, 1, 0) > 0;
}

Session::Events with_wake(Session::Events events, net::Event& event) {
  events.wake = [&event] { event.set(); };
  return events;
}

}  // namespace

Connection::Connection(asio::any_io_executor executor, net::Stream& stream, Role role, Session::Events events)
    : executor_(std::move(executor)),
      stream_(stream),
      role_(role),
      to_write_(executor_),
      writer_ended_(executor_),
      session_(role, with_wake(std::move(events), to_write_)),
      held_(stream.buffers()),
      pause_(executor_) {
  session_.account_to(stream.buffers());
}

void Connection::touch() {
  stream_.set_resting(started_ && role_ == Role::kServer && pending_.empty() && session_.open_streams() == 0);
  if (!pending_.empty()) return;  // the writer has set a deadline
  if (session_.in_header_block()) {
    if (!std::exchange(in_block_, true)) stream_.expires_after(kHeaderBlockTimeout);
    return;
  }
  in_block_ = false;
  if (!started_ && role_ == Role::kServer) return stream_.expires_after(kHeaderBlockTimeout);
  stream_.expires_after(session_.open_streams() > 0 || role_ == Role::kClient ? kBusyConnection : kIdleConnection);
}

asio::awaitable<void> Connection::read() {
  while (!session_.over() && !ended_) {
    if (!is_full()) session_.refuse_data(false);
    if (is_full() && !session_.refuses_data()) {
      const auto peer = co_await wait_for_room();
      if (peer == Peer::kHungUp) co_return;
    }
    bool more = true;
    for (int i = 0; i < kMaxBatches && more && (i == 0 || !is_full()); ++i) {
      const auto read = stream_.try_read_some(read_buffer());
      more = !read.would_block();
      if (!more) break;
      if (!read.has_bytes()) co_return;
      started_ = true;
      const auto received = session_.receive(read_buffer().first(read.count()), net::Clock::now());
      if (received == Session::Received::kFault) co_return co_await drain();
      more = !stream_.wait_before_reading();
    }
    touch();
    if (more) {
      co_await asio::post(executor_, asio::use_awaitable);
    } else if (const auto readable = co_await stream_.wait_readable(); !readable) {
      co_return;
    }
  }
  if (session_.over()) co_await drain();
}

// Origins wait for as long as it takes: what they send is freed by what the client does.
asio::awaitable<Connection::Peer> Connection::wait_for_room() {
  std::size_t least = session_.untaken();
  auto since = net::Clock::now();
  while (is_full() && !ended_) {
    if (role_ == Role::kServer && has_hung_up(stream_)) co_return Peer::kHungUp;
    pause_.expires_after(kRoomPause);
    co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
    const auto now = net::Clock::now();
    if (session_.untaken() < least) since = now;
    least = session_.untaken();
    if (role_ == Role::kServer && now - since >= kRoomPatience) break;
  }
  session_.refuse_data(is_full());
  co_return Peer::kIsThere;
}

// Reads on for a moment, so that no reset overtakes the last word.
asio::awaitable<void> Connection::drain() {
  stream_.expires_after(kLastWordTimeout);
  for (int i = 0; i < kMaxBatches; ++i) {
    const auto count = co_await stream_.read_some(read_buffer());
    if (!count || *count == 0) co_return;
  }
}

bool Connection::is_full() const {
  return session_.untaken() > kUntakenWithoutRoom && !net::has_room(stream_.buffers());
}

Written Connection::write_now() {
  const std::size_t most = net::has_room(stream_.buffers()) ? kWriteSize : kWriteSizeWithoutRoom;
  for (int i = 0; i < kMaxBatches && pending_.empty(); ++i) {
    auto& out = write_buffer();
    session_.collect(out, most);
    if (out.empty()) return Written::kAll;
    const auto written = stream_.try_write_some(base::as_bytes(out));
    if (written.failed()) return Written::kBroken;
    pending_ = out.substr(written.count());
    held_.set(pending_.size());
  }
  return pending_.empty() ? Written::kAll : Written::kPart;
}

asio::awaitable<void> Connection::write() {
  while (!ended_) {
    if (write_now() == Written::kBroken) break;
    touch();
    if (!pending_.empty()) {
      stream_.expires_after(kWriteStall);
      const auto written = co_await stream_.write_all(base::as_bytes(pending_));
      if (!written) break;
      std::string().swap(pending_);  // assigning would keep the storage
      held_.set(0);
      continue;
    }
    if (session_.over()) {
      stream_.shutdown_send();
      stream_.expires_after(kLastWordTimeout);
      co_return;
    }
    co_await to_write_.wait();
  }
  stream_.close();
}

asio::awaitable<void> Connection::run() {
  touch();
  bool writing = true;
  auto writer = write();
  asio::co_spawn(executor_, std::move(writer), [this, &writing](const std::exception_ptr&) {
    writing = false;
    writer_ended_.set();
  });
  co_await read();
  if (!ended_) say_last_word();
  ended_ = true;
  session_.disconnected();
  stream_.close();
  to_write_.set();
  while (writing) co_await writer_ended_.wait();
}

void Connection::say_last_word() {
  if (!pending_.empty()) return;                             // it would stand in the middle of a frame
  if (session_.fault().empty()) session_.go_away(kNoError);  // else the reason waits to be sent
  auto& out = write_buffer();
  session_.collect(out, kWriteSize);
  stream_.write_last(base::as_bytes(out));
}

void Connection::close() {
  if (std::exchange(ended_, true)) return;
  say_last_word();
  stream_.close();
  to_write_.set();
}

}  // namespace soleroute::gateway::http2
