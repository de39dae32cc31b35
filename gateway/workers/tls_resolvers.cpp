// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/workers/tls_resolvers.h"

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "gateway/net/dial_socket.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::workers {
namespace {

namespace asio = boost::asio;
using Connected = base::Result<std::unique_ptr<net::Stream>>;

std::unexpected<base::Error> failed(int error) {
  base::Error failure{.message = std::generic_category().message(error)};
  failure.sys_errno = error;
  return std::unexpected(std::move(failure));
}

asio::awaitable<Connected> connect(asio::io_context& io, net::DeadlineWheel& wheel,
                                   std::shared_ptr<const inspect::OriginTls> tls, std::uint32_t mark,
                                   dns::Upstream upstream, std::chrono::milliseconds timeout) {
  auto fd = net::begin_connect(upstream.server, mark);
  if (!fd) co_return std::unexpected(fd.error());
  auto tcp = std::make_unique<net::TcpStream>(io, wheel, std::move(*fd));
  tcp->expires_after(timeout);
  const auto up = co_await tcp->wait_writable();
  if (!up) co_return failed(up.error().sys_errno);
  if (const int error = net::socket_error(tcp->native_handle()); error != 0) co_return failed(error);
  auto secured = upstream.tls_name ? tls->connect_name(std::move(tcp), *upstream.tls_name)
                                   : tls->connect_address(std::move(tcp), upstream.server.address);
  auto stream = co_await std::move(secured);
  if (!stream) {
    base::Error failure{.message = stream.error().message};
    failure.sys_errno = stream.error().timed_out ? ETIMEDOUT : ECONNABORTED;
    co_return std::unexpected(std::move(failure));
  }
  co_return Connected(std::move(*stream));
}

}  // namespace

dns::ConnectTls connect_over_tls(asio::io_context& io, net::DeadlineWheel& wheel,
                                 std::shared_ptr<const inspect::OriginTls> tls, std::uint32_t mark) {
  return [&io, &wheel, tls = std::move(tls), mark](dns::Upstream upstream, std::chrono::milliseconds timeout) {
    return connect(io, wheel, tls, mark, std::move(upstream), timeout);
  };
}

}  // namespace soleroute::gateway::workers
