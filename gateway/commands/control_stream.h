// The lines that a running gateway streams to one that watches it, over its control socket.
// Blocks in next(); used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::commands {

class ControlStream {
 public:
  // Connects to the control socket at `path` and asks {"ask":"watch"}.
  [[nodiscard]] static base::Result<ControlStream> open(const std::string& path);

  // To poll(2) for reading. Lines may be there although nothing is readable: call next() until it has none.
  [[nodiscard]] int fd() const { return socket_.get(); }
  // The next line without its line end, of at most `wait` (negative: as long as it takes). Nothing: none came in time.
  // An error: the gateway has ended, or says why it does not answer.
  [[nodiscard]] base::Result<std::optional<std::string>> next(std::chrono::milliseconds wait);

 private:
  explicit ControlStream(base::Fd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] std::optional<std::string> line_in_hand();

  base::Fd socket_;
  std::string received_;
};

}  // namespace soleroute::gateway::commands
