// A blocking socket with one deadline over everything it does: for commands that ask something and say what they saw.
// Used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::commands {

enum class ProbeKind { kTcp, kUdp };

class ProbeSocket {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxAnswer = std::size_t{64} << 10;

  // Refused, unreachable, timed out: in Error::sys_errno. A UDP socket is connected, so that ICMP errors reach it.
  [[nodiscard]] static base::Result<ProbeSocket> connect(ProbeKind kind, const base::Endpoint& to,
                                                         std::chrono::milliseconds limit);
  [[nodiscard]] static base::Result<ProbeSocket> connect_unix(const std::string& path, std::chrono::milliseconds limit);

  [[nodiscard]] base::Status send(std::string_view bytes) const;
  // What came with one read; empty at end of stream.
  [[nodiscard]] base::Result<std::string> receive() const;
  // Until end of stream, kMaxAnswer bytes or `enough` says so. What came before an error counts if there is any.
  template <class Enough>
  [[nodiscard]] base::Result<std::string> receive_until(Enough enough) const {
    std::string all;
    while (all.size() < kMaxAnswer && !enough(all)) {
      auto some = receive();
      if (!some && all.empty()) return some;
      if (!some || some->empty()) break;
      all += *some;
    }
    return all;
  }

 private:
  ProbeSocket(base::Fd fd, Clock::time_point until) : fd_(std::move(fd)), until_(until) {}
  [[nodiscard]] base::Status wait(short events) const;

  base::Fd fd_;
  Clock::time_point until_;
};

}  // namespace soleroute::gateway::commands
