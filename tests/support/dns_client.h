// A DNS client of tests: raw messages over UDP or TCP to a server on loopback, with a time-out of its own.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/ip_address.h"
#include "tests/support/dns_wire.h"

namespace soleroute::testing {

class DnsClient {
 public:
  enum class Over { kUdp, kTcp };

  // Connected: an answer from any other address than `server` is not seen.
  DnsClient(const base::Endpoint& server, Over over) {
    sockaddr_storage address{};
    const auto length = static_cast<socklen_t>(server.to_sockaddr(address));
    socket_ = base::Fd(::socket(address.ss_family, (over == Over::kUdp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view bytes) const {
    return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // One datagram; empty when none came.
  [[nodiscard]] std::string receive() const {
    std::string bytes(65536, '\0');
    const auto size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return bytes;
  }
  // One length-prefixed message; nullopt at the end of the connection.
  [[nodiscard]] std::optional<std::string> receive_framed() const {
    const auto prefix = exactly(2);
    if (!prefix) return std::nullopt;
    return exactly(static_cast<std::size_t>(static_cast<std::uint8_t>((*prefix)[0]) << 8 |
                                            static_cast<std::uint8_t>((*prefix)[1])));
  }
  [[nodiscard]] std::string ask(std::string_view message) const { return send(message) ? receive() : std::string{}; }
  [[nodiscard]] std::optional<std::string> ask_framed(std::string_view message) const {
    return send(dns_wire::with_length(message)) ? receive_framed() : std::nullopt;
  }
  // Is something there within `ms`?
  [[nodiscard]] bool readable(int ms) const {
    pollfd wait{socket_.get(), POLLIN, 0};
    return ::poll(&wait, 1, ms) > 0;
  }
  void close_sending() const { ::shutdown(socket_.get(), SHUT_WR); }
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  [[nodiscard]] std::optional<std::string> exactly(std::size_t count) const {
    std::string bytes(count, '\0');
    if (::recv(socket_.get(), bytes.data(), count, MSG_WAITALL) != static_cast<ssize_t>(count)) return std::nullopt;
    return bytes;
  }
  base::Fd socket_;
  bool connected_ = false;
};

}  // namespace soleroute::testing
