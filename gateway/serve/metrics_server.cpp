// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/metrics_server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "gateway/audit/metrics.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/listen.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;
constexpr std::size_t kMaxRequest = 8192;
constexpr std::chrono::milliseconds kScrapeTimeout{2000};

}  // namespace

struct MetricsServer::State {
  State(asio::io_context& io, base::Fd fd, const audit::Counters& from)
      : loop(io), wheel(io), listener(io, fd.release()), counters(from) {}

  static asio::awaitable<void> accept_loop(std::shared_ptr<State> self) {
    for (;;) {
      const auto [error] = co_await self->listener.async_wait(asio::posix::stream_descriptor::wait_read,
                                                              asio::as_tuple(asio::use_awaitable));
      if (error) co_return;
      base::Fd socket(::accept4(self->listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket) continue;
      auto client = serve(self, std::move(socket));
      asio::co_spawn(self->loop, std::move(client), [](const std::exception_ptr&) {});
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, base::Fd socket) {
    net::TcpStream stream(self->loop, self->wheel, std::move(socket));
    stream.expires_after(kScrapeTimeout);
    std::vector<std::byte> request(kMaxRequest);
    std::size_t size = 0;
    while (base::as_text(std::span(request).first(size)).find("\r\n\r\n") == std::string_view::npos) {
      const auto count = co_await stream.read_some(std::span(request).subspan(size));
      if (!count || *count == 0) co_return;
      size += *count;
    }
    const std::string body = audit::prometheus_text(self->counters);
    const std::string page =
        fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                    audit::kPrometheusContentType, body.size(), body);
    const auto written = co_await stream.write_all(base::as_bytes(page));
    if (written) stream.shutdown_send();
  }

  asio::io_context& loop;
  net::DeadlineWheel wheel;
  asio::posix::stream_descriptor listener;
  const audit::Counters& counters;
};

MetricsServer::MetricsServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

MetricsServer::~MetricsServer() {
  boost::system::error_code ignored;
  state_->listener.close(ignored);
}

base::Result<std::unique_ptr<MetricsServer>> MetricsServer::open(asio::io_context& io, const base::Endpoint& at,
                                                                 const audit::Counters& counters) {
  auto fd = net::listen_tcp(at);
  if (!fd) return std::unexpected(fd.error());
  auto state = std::make_shared<State>(io, std::move(*fd), counters);
  asio::co_spawn(io, State::accept_loop(state), [](const std::exception_ptr&) {});
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

}  // namespace soleroute::gateway::serve
