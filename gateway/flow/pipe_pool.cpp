// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace soleroute::gateway::flow {

std::optional<Pipe> PipePool::borrow() {
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    ++lent_;
    return pipe;
  }
  if (lent_ >= most_) return std::nullopt;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
  Pipe pipe{base::Fd(ends[0]), base::Fd(ends[1]), 0, 0};
  int capacity = ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, kWantedBytes);
  if (capacity < 0) capacity = ::fcntl(pipe.write_end.get(), F_GETPIPE_SZ);
  if (capacity <= 0) return std::nullopt;
  pipe.capacity = static_cast<std::size_t>(capacity);
  ++lent_;
  return pipe;
}

void PipePool::give_back(Pipe pipe) {
  --lent_;
  if (pipe.held == 0 && idle_.size() < std::min(kKept, most_)) idle_.push_back(std::move(pipe));
}

}  // namespace soleroute::gateway::flow
