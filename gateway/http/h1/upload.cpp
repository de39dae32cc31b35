// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/upload.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "gateway/http/h1/io.h"

namespace soleroute::gateway::http::h1 {
namespace {

namespace asio = boost::asio;
using net::Written;

constexpr std::chrono::milliseconds kUnwantedBodyTimeout{1000};

}  // namespace

Upload::Upload(net::Stream& client, ReadBuffer& received, net::Stream& origin, BodyTracker body,
               std::function<void(Progress)> progress)
    : client_(client), received_(received), origin_(origin), body_(std::move(body)), progress_(std::move(progress)) {}

void Upload::start(const asio::any_io_executor& executor) {
  running_ = true;
  auto task = run();
  asio::co_spawn(executor, std::move(task), [this](const std::exception_ptr& error) {
    running_ = false;
    if (error) fail(Fault::kClientGone);  // out of memory: as good as gone
    if (delivered()) progress_(Progress::kEnded);
    if (end_event_ != nullptr) end_event_->cancel();
  });
}

asio::awaitable<void> Upload::run() {
  auto next = Next::kGoesOn;
  Turn turn;
  std::uint64_t before = bytes_;
  while (next == Next::kGoesOn && !body_.done()) {
    if (!unwanted_) progress_(Progress::kWaits);
    next = co_await move_some();
    if (turn.over(static_cast<std::size_t>(bytes_ - std::exchange(before, bytes_)))) co_await let_others();
  }
  ended_ = true;
}

void Upload::fail(Fault fault) {
  fault_ = fault;
  origin_.close();
}

std::optional<BodyTracker::Piece> Upload::take(base::Bytes bytes) {
  const auto piece = body_.take(bytes);
  if (!body_.malformed()) return piece;
  fail(Fault::kMalformed);
  return std::nullopt;
}

// One read of the body and the write of it.
asio::awaitable<Upload::Next> Upload::move_some() {
  auto space = received_.space(kSmallRead);
  space = space.first(body_.readable(std::min(space.size(), kSmallRead)));
  const auto count = co_await client_.read_some(space);
  if (!count || *count == 0) {
    if (!unwanted_) fail(client_.timed_out() ? Fault::kTimedOut : Fault::kClientGone);
    co_return Next::kOver;
  }
  received_.received(*count);
  const auto piece = take(received_.bytes());
  if (!piece) co_return Next::kOver;
  bytes_ += piece->taken;
  if (unwanted_) {
    drained_ += piece->taken;
    received_.consume(piece->taken);
    co_return drained_ < kMaxDrained ? Next::kGoesOn : Next::kOver;
  }
  auto bytes = piece->forwarded;
  auto written = write_now(origin_, bytes);
  if (written == Written::kPart) written = co_await write_rest(origin_, bytes);
  received_.consume(piece->taken);
  body_.sent();
  unwanted_ = unwanted_ || written == Written::kBroken;  // the origin has heard enough; it may still be answering
  if (*count < space.size() || body_.done() || unwanted_) co_return Next::kGoesOn;
  co_return co_await move_bulk();
}

// While more is there than a small read takes.
asio::awaitable<Upload::Next> Upload::move_bulk() {
  for (int i = 0; i < kMaxBulkReads && !body_.done() && !unwanted_; ++i) {
    const auto buffer = bulk_buffer(origin_);
    const auto space = buffer.first(body_.readable(buffer.size()));
    const auto read = client_.try_read_some(space);
    if (!read.has_bytes()) co_return Next::kGoesOn;  // what it was, the next wait tells
    const auto bytes = space.first(read.count());
    const auto piece = take(bytes);
    if (!piece) co_return Next::kOver;
    received_.append(bytes.subspan(piece->taken));
    bytes_ += piece->taken;
    progress_(Progress::kWaits);
    const auto written = co_await write_bulk(origin_, piece->forwarded);
    unwanted_ = unwanted_ || written == Written::kBroken;
    body_.sent();
  }
  co_return Next::kGoesOn;
}

asio::awaitable<void> Upload::abandon() {
  if (!running_) co_return;
  if (!ended_) {  // otherwise all is delivered, and both connections may serve the next request
    unwanted_ = true;
    origin_.close();
    if (fault_ == Fault::kNone) {  // otherwise it is ending, and the client may yet have to be reset
      client_.shutdown_send();
      client_.expires_after(kUnwantedBodyTimeout);
    }
  }
  asio::steady_timer end_event(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  end_event_ = &end_event;
  co_await end_event.async_wait(asio::as_tuple(asio::use_awaitable));
  end_event_ = nullptr;
}

}  // namespace soleroute::gateway::http::h1
