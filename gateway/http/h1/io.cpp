// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/io.h"

#include <poll.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>
#include <vector>

namespace soleroute::gateway::http::h1 {

namespace asio = boost::asio;
using net::Written;

asio::awaitable<void> let_others() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

std::span<std::byte> bulk_buffer(const net::Stream& to) {
  thread_local std::vector<std::byte> buffer(kBulkRead);
  return std::span(buffer).first(net::has_room(to.buffers()) ? kBulkRead : kSmallRead);
}

Written write_now(net::Stream& to, base::Bytes& bytes) {
  if (bytes.empty()) return Written::kAll;
  const auto written = to.try_write_some(bytes);
  if (written.failed()) return Written::kBroken;
  bytes = bytes.subspan(written.count());
  return bytes.empty() ? Written::kAll : Written::kPart;
}

asio::awaitable<Written> write_rest(net::Stream& to, base::Bytes bytes) {
  to.expires_after(kBodyIdle);
  const auto written = co_await to.write_all(bytes);
  co_return written ? Written::kAll : Written::kBroken;
}

asio::awaitable<Written> write_bulk(net::Stream& to, base::Bytes bytes) {
  const auto written = write_now(to, bytes);
  if (written != Written::kPart) co_return written;
  const std::vector<std::byte> kept(bytes.begin(), bytes.end());
  const net::HeldBytes held(to.buffers(), kept.size());
  co_return co_await write_rest(to, kept);
}

ClientWatch::ClientWatch(net::DeadlineWheel& wheel, net::Stream& client, std::function<void()> gone)
    : wheel_(wheel), client_(client), gone_(std::move(gone)) {
  arm(wheel_, kEvery);
}

void ClientWatch::expired() {
  if (!client_.is_open()) return;
  pollfd asked{client_.native_handle(), 0, 0};
  if (::poll(&asked, 1, 0) > 0) return gone_();
  arm(wheel_, kEvery);
}

}  // namespace soleroute::gateway::http::h1
