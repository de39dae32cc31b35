// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/workers/tls_resolvers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::workers {
namespace {

namespace asio = boost::asio;
using Connected = base::Result<std::unique_ptr<net::Stream>>;

base::Result<base::Fd> begin(const base::Endpoint& server, std::uint32_t mark) {
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(server.to_sockaddr(address));
  base::Fd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (mark != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) {
    return base::errno_error("SO_MARK");
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS) {
    return base::errno_error("connect");
  }
  return fd;
}

int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

std::unexpected<base::Error> failed(int error) {
  base::Error failure{.message = std::generic_category().message(error)};
  failure.sys_errno = error;
  return std::unexpected(std::move(failure));
}

asio::awaitable<Connected> connect(asio::io_context& io, net::DeadlineWheel& wheel,
                                   std::shared_ptr<const inspect::OriginTls> tls, std::uint32_t mark,
                                   dns::Upstream upstream, std::chrono::milliseconds timeout) {
  auto fd = begin(upstream.server, mark);
  if (!fd) co_return std::unexpected(fd.error());
  auto tcp = std::make_unique<net::TcpStream>(io, wheel, std::move(*fd));
  tcp->expires_after(timeout);
  const auto up = co_await tcp->wait_writable();
  if (!up) co_return failed(up.error().sys_errno);
  if (const int error = socket_error(tcp->native_handle()); error != 0) co_return failed(error);
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
