// A connected TCP stream with one deadline over everything it waits for.
// Not thread-safe: belongs to one worker. Not movable: flows hold it by unique_ptr or as a local.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/net/deadline_wheel.h"

namespace soleroute::gateway::net {

class Stream final : private Deadline {
 public:
  // Takes a connected, non-blocking socket.
  Stream(boost::asio::io_context& io, DeadlineWheel& wheel, base::Fd socket);
  ~Stream() override;

  // Every wait from now on ends with ETIMEDOUT when this has passed. Call again to move it.
  void expires_after(std::chrono::milliseconds duration);
  void never_expires();
  [[nodiscard]] bool timed_out() const { return timed_out_; }

  // At least one byte, or 0 at end of stream. ETIMEDOUT, ECONNRESET, ECANCELED (close()) in Error::sys_errno.
  [[nodiscard]] boost::asio::awaitable<base::Result<std::size_t>> read_some(std::span<std::byte> into);
  // The same without waiting: nullopt when it would block. The cheap first try of a hot path.
  [[nodiscard]] std::optional<base::Result<std::size_t>> try_read_some(std::span<std::byte> into);
  [[nodiscard]] boost::asio::awaitable<base::Status> write_all(std::span<const std::byte> bytes);
  // How much was taken without waiting: nullopt when it would block.
  [[nodiscard]] std::optional<base::Result<std::size_t>> try_write_some(std::span<const std::byte> bytes);
  // Until readable or writable: for splice(2).
  [[nodiscard]] boost::asio::awaitable<base::Status> wait_readable();
  [[nodiscard]] boost::asio::awaitable<base::Status> wait_writable();

  void shutdown_send();  // FIN; reading goes on
  void reset();          // RST: SO_LINGER 0 and close
  void close();          // every wait in progress ends with ECANCELED
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  [[nodiscard]] int native_handle() { return socket_.native_handle(); }

 private:
  void expired() override;
  [[nodiscard]] std::optional<base::Error> unusable() const;
  [[nodiscard]] base::Error ended(const boost::system::error_code& error) const;

  DeadlineWheel& wheel_;
  boost::asio::ip::tcp::socket socket_;
  bool timed_out_ = false;
};

}  // namespace soleroute::gateway::net
