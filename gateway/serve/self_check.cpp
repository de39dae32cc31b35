// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/self_check.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "base/fd.h"
#include "base/ip_address.h"

namespace soleroute::gateway::serve {
namespace {

constexpr int kTimeoutMs = 1000;

base::Result<base::Fd> connected(int type, std::uint16_t port, std::uint32_t mark) {
  base::Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (mark != 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  sockaddr_storage address{};
  const base::Endpoint here{base::IpAddress::v4(0x7f000001U), port};
  const auto length = static_cast<socklen_t>(here.to_sockaddr(address));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return base::errno_error("connect to " + here.to_string());
  }
  return fd;
}

bool readable(int fd) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, kTimeoutMs) == 1;
}

base::Status dns_answers(std::uint16_t port, std::uint32_t mark) {
  auto fd = connected(SOCK_DGRAM, port, mark);
  if (!fd) return std::unexpected(fd.error());
  // RFC 1035 section 4.1: one question, gateway.internal, A, IN.
  constexpr std::array<std::uint8_t, 34> kQuestion{0x53, 0x4f, 0x01, 0x00, 0,   1,   0,   0,   0, 0,   0,   0,
                                                   7,    'g',  'a',  't',  'e', 'w', 'a', 'y', 8, 'i', 'n', 't',
                                                   'e',  'r',  'n',  'a',  'l', 0,   0,   1,   0, 1};
  std::array<std::uint8_t, 512> answer{};
  if (::send(fd->get(), kQuestion.data(), kQuestion.size(), 0) < 0 || !readable(fd->get())) {
    return base::system_error("self-check: the gateway's own DNS does not answer");
  }
  const ssize_t size = ::recv(fd->get(), answer.data(), answer.size(), 0);
  const bool good = size > 12 && answer[0] == kQuestion[0] && answer[1] == kQuestion[1] && (answer[3] & 0x0f) == 0;
  if (!good) return base::system_error("self-check: the gateway's own DNS answers wrongly");
  return {};
}

base::Status direct_connection_refused(std::uint16_t port, std::uint32_t mark) {
  auto fd = connected(SOCK_STREAM, port, mark);
  if (!fd) return {};  // refused at once
  std::array<std::uint8_t, 1> byte{};
  const bool ended = readable(fd->get()) && ::recv(fd->get(), byte.data(), byte.size(), 0) <= 0;
  if (ended) return {};
  return base::system_error("self-check: a connection that was not redirected was let in");
}

}  // namespace

base::Status self_check(const net::ListenPorts& ports, std::uint32_t mark) {
  if (auto answered = dns_answers(ports.dns, mark); !answered) return answered;
  return direct_connection_refused(ports.redirected, mark);
}

}  // namespace soleroute::gateway::serve
