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

using Announce = std::function<void(std::uint16_t)>;

base::Endpoint here(std::uint16_t port) {
  return {base::IpAddress::v4(0x7f000001U), port};
}

// On a port of loopback that the kernel chooses.
base::Result<base::Fd> bound(int type, std::uint32_t mark) {
  base::Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (mark != 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(here(0).to_sockaddr(address));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return base::errno_error("self-check: cannot bind to loopback");
  }
  return fd;
}

base::Result<std::uint16_t> port_of(const base::Fd& fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return base::errno_error("self-check: getsockname");
  }
  return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(address)).port;
}

base::Status connect_to(const base::Fd& fd, std::uint16_t port) {
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(here(port).to_sockaddr(address));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0) return {};
  return base::errno_error("connect to " + here(port).to_string());
}

bool readable(int fd) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, kTimeoutMs) == 1;
}

base::Status dns_answers(std::uint16_t port, std::uint32_t mark) {
  SR_LET(fd, bound(SOCK_DGRAM, mark));
  SR_TRY(connect_to(*fd, port));
  std::array<std::uint8_t, 512> answer{};
  if (::send(fd->get(), kRefusedQuestion.data(), kRefusedQuestion.size(), 0) < 0 || !readable(fd->get())) {
    return base::system_error("self-check: the gateway's own DNS does not respond");
  }
  const ssize_t size = ::recv(fd->get(), answer.data(), answer.size(), 0);
  const auto got = std::span(answer).first(static_cast<std::size_t>(size < 0 ? 0 : size));
  if (!is_refusal(got)) return base::system_error("self-check: wrong answer from the gateway's own DNS");
  return {};
}

// Known to the workers until it is destroyed, while the port is still held.
class Announced {
 public:
  Announced(const Announce& announce, std::uint16_t port) : announce_(announce) { announce_(port); }
  Announced(const Announced&) = delete;
  Announced& operator=(const Announced&) = delete;
  ~Announced() { announce_(0); }

 private:
  const Announce& announce_;
};

base::Status direct_connection_refused(std::uint16_t port, std::uint32_t mark, const Announce& announce) {
  SR_LET(fd, bound(SOCK_STREAM, mark));
  SR_LET(own, port_of(*fd));
  const Announced announced(announce, *own);
  if (!connect_to(*fd, port)) return {};  // refused at once
  std::array<std::uint8_t, 1> byte{};
  const bool ended = readable(fd->get()) && ::recv(fd->get(), byte.data(), byte.size(), 0) <= 0;
  if (ended) return {};
  return base::system_error("self-check: a connection that was not redirected was accepted");
}

}  // namespace

bool is_refusal(std::span<const std::uint8_t> answer) {
  constexpr std::uint8_t kRefused = 5;
  return answer.size() >= 12 && answer[0] == kRefusedQuestion[0] && answer[1] == kRefusedQuestion[1] &&
         (answer[2] & 0x80) != 0 && (answer[3] & 0x0f) == kRefused;
}

base::Status self_check(const net::ListenPorts& ports, std::uint32_t mark, const Announce& announce) {
  SR_TRY(dns_answers(ports.dns, mark));
  return direct_connection_refused(ports.redirected, mark, announce);
}

}  // namespace soleroute::gateway::serve
