// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/stream.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace soleroute::gateway::net {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

std::unexpected<base::Error> failure(const char* what, int error) {
  return std::unexpected(base::Error{what, base::ErrorKind::kSystem, error});
}

constexpr bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

TcpStream::TcpStream(asio::io_context& io, DeadlineWheel& wheel, base::Fd socket) : wheel_(wheel), socket_(io) {
  boost::system::error_code error;
  // The protocol only matters to Asio for open(), which is never called.
  socket_.assign(asio::ip::tcp::v6(), socket.get(), error);
  if (!error) (void)socket.release();
}

TcpStream::~TcpStream() = default;

void TcpStream::expires_after(std::chrono::milliseconds duration) {
  arm(wheel_, duration);
}

void TcpStream::never_expires() {
  disarm();
}

void TcpStream::expired() {
  timed_out_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

std::optional<base::Error> TcpStream::unusable() const {
  if (timed_out_) return base::Error{"timed out", base::ErrorKind::kSystem, ETIMEDOUT};
  if (!socket_.is_open()) return base::Error{"closed", base::ErrorKind::kSystem, ECANCELED};
  return std::nullopt;
}

base::Error TcpStream::ended(const boost::system::error_code& error) const {
  if (auto fault = unusable()) return *fault;
  if (error == asio::error::operation_aborted) return {"closed", base::ErrorKind::kSystem, ECANCELED};
  return {error.message(), base::ErrorKind::kSystem, error.value()};
}

asio::awaitable<base::Result<std::size_t>> TcpStream::read_some(std::span<std::byte> into) {
  if (auto fault = unusable()) co_return std::unexpected(*fault);
  const auto [error, count] = co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), kAwait);
  if (error == asio::error::eof) co_return std::size_t{0};
  if (error) co_return std::unexpected(ended(error));
  co_return count;
}

std::optional<base::Result<std::size_t>> TcpStream::try_read_some(std::span<std::byte> into) {
  if (auto fault = unusable()) return std::unexpected(*fault);
  const ssize_t count = ::recv(socket_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (would_block(errno) || errno == EINTR) return std::nullopt;
  return failure("read", errno);
}

std::optional<base::Result<std::size_t>> TcpStream::try_write_some(std::span<const std::byte> bytes) {
  if (auto fault = unusable()) return std::unexpected(*fault);
  const ssize_t count = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (would_block(errno) || errno == EINTR) return std::nullopt;
  return failure("write", errno);
}

asio::awaitable<base::Status> TcpStream::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto written = try_write_some(bytes);
    if (written && !*written) co_return std::unexpected(written->error());
    if (written) {
      bytes = bytes.subspan(**written);
      continue;
    }
    if (auto writable = co_await wait_writable(); !writable) co_return writable;
  }
  co_return base::Status{};
}

void TcpStream::write_last(std::span<const std::byte> bytes) {
  if (socket_.is_open()) ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

asio::awaitable<base::Status> TcpStream::wait_readable() {
  if (auto fault = unusable()) co_return std::unexpected(*fault);
  const auto [error] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_read, kAwait);
  if (error || timed_out_) co_return std::unexpected(ended(error));
  co_return base::Status{};
}

asio::awaitable<base::Status> TcpStream::wait_writable() {
  if (auto fault = unusable()) co_return std::unexpected(*fault);
  const auto [error] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_write, kAwait);
  if (error || timed_out_) co_return std::unexpected(ended(error));
  co_return base::Status{};
}

void TcpStream::shutdown_send() {
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

void TcpStream::reset() {
  if (!socket_.is_open()) return;
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void TcpStream::close() {
  disarm();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace soleroute::gateway::net
