// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/first_bytes.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/byte_reader.h"
#include "gateway/flow/refusal.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using sniffer::Protocol;

constexpr std::size_t kFirstRead = 16 << 10;

// What the bytes that are there tell, once it is more than that there should be more; nothing: wait for them.
// kNeedMore: the client went away.
std::optional<Protocol> told_so_far(net::Stream& stream, flow::ReadAhead& read) {
  thread_local std::array<std::byte, kFirstRead> buffer;
  for (;;) {
    if (!read.empty()) {
      const Protocol guess = sniffer::guess_protocol(read);
      if (guess != Protocol::kNeedMore) return guess;
    }
    const auto count = stream.try_read_some(buffer);
    if (count.would_block()) return std::nullopt;
    if (!count.has_bytes()) return Protocol::kNeedMore;
    read.insert(read.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count.count()));
  }
}

// An answer of HTTP/1, or a frame of HTTP/2 (RFC 9113 section 3.4), whose length begins with 0.
bool begins_http(std::span<const std::byte> said) {
  return said.front() == std::byte{0} || base::as_text(said).starts_with("HTTP/");
}

// Rings once the stream is readable.
class Bell final : public net::Readiness::Waiter {
 public:
  explicit Bell(asio::io_context& io) : timer_(io) {}
  void ready(int /*error*/) override {
    has_rung = true;
    timer_.cancel();
  }
  asio::awaitable<void> wait(std::chrono::milliseconds longest) {
    timer_.expires_after(longest);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  bool has_rung = false;

 private:
  asio::steady_timer timer_;
};

// Without a deadline of the stream, which would end it.
asio::awaitable<bool> speaks_within(asio::io_context& io, net::Stream& stream, std::chrono::milliseconds patience) {
  auto bell = std::make_shared<Bell>(io);
  const auto wait = stream.start_wait(net::Readiness::For::kReading, bell);
  if (wait == net::Stream::Wait::kNoNeed) co_return true;
  co_await bell->wait(patience);
  co_return bell->has_rung;
}

}  // namespace

asio::awaitable<FirstBytes> first_bytes(net::Stream& stream, flow::ReadAhead read) {
  FirstBytes first;
  first.read = std::move(read);
  std::optional<Protocol> told = told_so_far(stream, first.read);
  while (!told) {
    const auto readable = co_await stream.wait_readable();
    told = readable ? told_so_far(stream, first.read) : Protocol::kNeedMore;
  }
  first.protocol = *told;
  first.late = stream.timed_out();
  co_return first;
}

asio::awaitable<FirstBytes> awaited_first_bytes(flow::Context& context, net::Stream& stream, flow::ReadAhead read,
                                                bool may_be_silent) {
  stream.expires_after(flow::kFirstBytesTimeout);
  if (may_be_silent && read.empty()) {
    const bool spoken = co_await speaks_within(context.io, stream, kPatience);
    if (!spoken) {
      FirstBytes silence;
      silence.late = true;
      co_return silence;
    }
  }
  auto first = co_await first_bytes(stream, std::move(read));
  co_return first;
}

asio::awaitable<std::optional<flow::ReadAhead>> greeting_of(net::Stream& origin) {
  origin.expires_after(flow::kFirstBytesTimeout);
  flow::ReadAhead said(kFirstRead);
  const auto count = co_await origin.read_some(said);
  if (!count || *count == 0) co_return std::nullopt;
  said.resize(*count);
  if (begins_http(said)) co_return std::nullopt;
  co_return said;
}

asio::awaitable<flow::TunnelPtr> greeted(flow::TunnelPtr tunnel, flow::ReadAhead greeting) {
  if (greeting.empty()) co_return tunnel;
  tunnel->client->expires_after(flow::kFirstBytesTimeout);
  const auto told = co_await tunnel->client->write_all(greeting);
  if (told) co_return tunnel;
  tunnel->client->reset();
  co_return nullptr;
}

}  // namespace soleroute::gateway::ingress
