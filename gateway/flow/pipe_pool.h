// Pipes for splice(2), lent to directions that move bulk and taken back empty.
// One per worker; used on its thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/fd.h"

namespace soleroute::gateway::flow {

struct Pipe {
  base::Fd read_end;
  base::Fd write_end;
  std::size_t capacity = 0;  // bytes
  std::size_t held = 0;      // bytes in it
};

class PipePool {
 public:
  static constexpr std::size_t kKept = 32;
  static constexpr int kWantedBytes = 1 << 20;  // an unprivileged user may get less: pipe-user-pages-soft

  // `most`: pipes at once, two descriptors each.
  explicit PipePool(std::size_t most = 1024) : most_(most) {}
  // Nothing when `most` are lent, or the process is out of descriptors: the caller goes on copying.
  [[nodiscard]] std::optional<Pipe> borrow();
  // Each is given back. Only empty pipes are kept; one with bytes in it is closed.
  void give_back(Pipe pipe);

 private:
  std::size_t most_;
  std::size_t lent_ = 0;
  std::vector<Pipe> idle_;
};

}  // namespace soleroute::gateway::flow
