// The self-check that goes on while serving: asks the gateway's own DNS, and in a shared network namespace by the way
// that an agent's question takes, through the redirect. Waits for nothing: a look reads what came of the one before.
// Used on the controlling thread, in the network namespace that it protects.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"

namespace soleroute::gateway::serve {

class Pulse {
 public:
  // Two datagrams in this time at most, and no decision: the question is of a class that is refused to everybody.
  static constexpr std::chrono::seconds kEvery{10};

  enum class Asks : std::uint8_t { kDirectly, kThroughTheRedirectToo };
  // `dns_port`: the DNS listener's. `mark`: SO_MARK in a shared namespace, 0 none.
  Pulse(std::uint16_t dns_port, std::uint32_t mark, Asks asks);

  // What is wrong, as far as is known. `changed`: something in the network changed, so ask anew.
  [[nodiscard]] std::vector<std::string> look(bool changed);
  // There is a question whose answer may still come.
  [[nodiscard]] bool is_waiting() const;

 private:
  struct Path {
    base::Endpoint to;
    std::uint32_t mark = 0;
    std::string problem;  // where no answer comes
    base::Fd socket{};
    enum class State : std::uint8_t { kIdle, kAsked, kAnswered, kRefused } state = State::kIdle;
  };
  void ask(Path& path);
  static void read(Path& path);

  std::vector<Path> paths_;
  std::chrono::steady_clock::time_point asked_{};
};

}  // namespace soleroute::gateway::serve
