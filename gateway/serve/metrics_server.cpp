// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/metrics_server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
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
constexpr std::size_t kMaxScrapes = 8;
constexpr std::chrono::milliseconds kScrapePause{100};

bool out_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

struct MetricsServer::State {
  State(asio::io_context& io, base::Fd fd, const audit::Counters& from)
      : loop(io), wheel(io), listener(io, fd.release()), pause(io), counters(from) {}

  static asio::awaitable<void> accept_loop(std::shared_ptr<State> self) {
    for (;;) {
      const auto [error] = co_await self->listener.async_wait(asio::posix::stream_descriptor::wait_read,
                                                              asio::as_tuple(asio::use_awaitable));
      if (error) co_return;
      base::Fd socket(::accept4(self->listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket) {
        if (!out_of_descriptors(errno)) continue;
        self->pause.expires_after(kScrapePause);
        (void)co_await self->pause.async_wait(asio::as_tuple(asio::use_awaitable));
        continue;
      }
      // The oldest makes room: who really asks has its answer long since.
      if (self->clients.size() >= kMaxScrapes) self->clients.front()->close();
      auto client = serve(self, std::move(socket));
      asio::co_spawn(self->loop, std::move(client), [](const std::exception_ptr&) {});
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, base::Fd socket) {
    net::TcpStream stream(self->loop, self->wheel, std::move(socket));
    const Client counted(*self, stream);
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

  // In the list for as long as it is served.
  struct Client {
    Client(State& of, net::TcpStream& stream) : state(of), mine(of.clients.insert(of.clients.end(), &stream)) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { state.clients.erase(mine); }
    State& state;
    std::list<net::TcpStream*>::iterator mine;
  };

  asio::io_context& loop;
  net::DeadlineWheel wheel;
  asio::posix::stream_descriptor listener;
  asio::steady_timer pause;
  std::list<net::TcpStream*> clients;  // oldest first
  const audit::Counters& counters;
};

MetricsServer::MetricsServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

MetricsServer::~MetricsServer() {
  boost::system::error_code ignored;
  state_->listener.close(ignored);
  state_->pause.cancel();
}

base::Result<std::unique_ptr<MetricsServer>> MetricsServer::open(asio::io_context& io, const base::Endpoint& at,
                                                                 const audit::Counters& counters) {
  SR_LET(fd, net::listen_tcp(at));
  auto state = std::make_shared<State>(io, std::move(*fd), counters);
  asio::co_spawn(io, State::accept_loop(state), [](const std::exception_ptr&) {});
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

}  // namespace soleroute::gateway::serve
