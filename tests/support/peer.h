// One end of a TCP connection in a test's hands: sends, and waits for what must come, never for longer than a test may.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/ip_address.h"

namespace soleroute::test {

inline constexpr int kPatienceMs = 20000;  // only a failing test waits that long

class Peer {
 public:
  Peer() = default;
  explicit Peer(base::Fd fd) : fd_(std::move(fd)) { ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK); }

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }
  [[nodiscard]] base::Fd release() { return std::move(fd_); }
  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  // A reset, once the other side's kernel has all that was sent: a reset takes with it what is still on its way.
  void abort() {
    int on_its_way = 1;
    for (int i = 0; i < kPatienceMs && ::ioctl(fd_.get(), SIOCOUTQ, &on_its_way) == 0 && on_its_way > 0; ++i) {
      ::poll(nullptr, 0, 1);
    }
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
      if (count < 0 && (errno != EAGAIN || !wait(POLLOUT, kPatienceMs))) return false;
    }
    return true;
  }

  // Everything up to and including `end`.
  std::string until(std::string_view end) {
    while (!held_.contains(end) && more()) {
    }
    const auto at = held_.find(end);
    return take(at == std::string::npos ? held_.size() : at + end.size());
  }
  std::string head() { return until("\r\n\r\n"); }
  std::string exactly(std::size_t count) {
    while (held_.size() < count && more()) {
    }
    return take(std::min(count, held_.size()));
  }
  // A head and the body that its Content-Length announces.
  std::string message() {
    std::string out = head();
    const auto at = out.find("Content-Length: ");
    if (at != std::string::npos) out += exactly(std::stoul(out.substr(at + 16)));
    return out;
  }
  // To the end of the stream; a reset is written down as "<reset>".
  std::string rest() {
    while (more()) {
    }
    return take(held_.size()) + (reset_ ? "<reset>" : "");
  }
  // Has nothing arrived? For what must not: asked when something later is known to have happened.
  [[nodiscard]] bool silent() {
    char byte = 0;
    return held_.empty() && ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  [[nodiscard]] bool wait(short events, int patience_ms) const {
    pollfd asked{fd_.get(), events, 0};
    return ::poll(&asked, 1, patience_ms) == 1;
  }

 private:
  bool more() {
    char buffer[65536];
    if (!wait(POLLIN, kPatienceMs)) return false;
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    reset_ = reset_ || (count < 0 && errno == ECONNRESET);
    if (count <= 0) return count < 0 && (errno == EAGAIN || errno == EINTR);
    held_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }
  std::string take(std::size_t count) {
    std::string out = held_.substr(0, count);
    held_.erase(0, count);
    return out;
  }

  base::Fd fd_;
  std::string held_;
  bool reset_ = false;
};

}  // namespace soleroute::test
