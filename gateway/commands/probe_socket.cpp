// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/probe_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace soleroute::gateway::commands {
namespace {

base::Status pending_error(const base::Fd& fd, const std::string& what) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return base::errno_error(what, error);
  return {};
}

}  // namespace

base::Status ProbeSocket::wait(short events) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - Clock::now()).count();
    pollfd ready{.fd = fd_.get(), .events = events, .revents = 0};
    const int count = ::poll(&ready, 1, static_cast<int>(std::max<long>(left, 0)));
    if (count > 0) return {};
    if (count == 0) return base::errno_error("no answer", ETIMEDOUT);
    if (errno != EINTR) return base::errno_error("poll");
  }
}

base::Result<ProbeSocket> ProbeSocket::connect(ProbeKind kind, const base::Endpoint& to,
                                               std::chrono::milliseconds limit) {
  const int type = kind == ProbeKind::kTcp ? SOCK_STREAM : SOCK_DGRAM;
  const int family = to.address.is_v4() ? AF_INET : AF_INET6;
  ProbeSocket probe(base::Fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), Clock::now() + limit);
  if (!probe.fd_) return base::errno_error("socket");
  const std::string what = "connect to " + to.to_string();
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(to.to_sockaddr(address));
  if (::connect(probe.fd_.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    if (errno != EINPROGRESS) return base::errno_error(what);
    if (auto ready = probe.wait(POLLOUT); !ready) return base::errno_error(what, ready.error().sys_errno);
  }
  SR_TRY(pending_error(probe.fd_, what));
  return probe;
}

base::Result<ProbeSocket> ProbeSocket::connect_unix(const std::string& path, std::chrono::milliseconds limit) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return base::usage_error("the path of a Unix socket must have 1 to " + std::to_string(sizeof address.sun_path - 1) +
                             " bytes: " + path);
  }
  std::ranges::copy(path, static_cast<char*>(address.sun_path));
  ProbeSocket probe(base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), Clock::now() + limit);
  if (!probe.fd_) return base::errno_error("socket");
  if (::connect(probe.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return base::errno_error("connect to " + path);
  }
  return probe;
}

base::Status ProbeSocket::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return base::errno_error("send");
    SR_TRY(wait(POLLOUT));
  }
  return {};
}

base::Result<std::string> ProbeSocket::receive() const {
  std::string bytes(std::size_t{16} << 10, '\0');
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (count >= 0) {
      bytes.resize(static_cast<std::size_t>(count));
      return bytes;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return base::errno_error("receive");
    SR_TRY(wait(POLLIN));
  }
}

}  // namespace soleroute::gateway::commands
