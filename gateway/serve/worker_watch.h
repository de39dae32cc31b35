// Tells of workers that give no sign of life, and of a log that cannot be written: twice a second, waiting for neither.
// Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <vector>

#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/serve/log_state.h"
#include "gateway/workers/runtime.h"

namespace soleroute::gateway::serve {

class WorkerWatch {
 public:
  static constexpr std::chrono::milliseconds kEvery{500};

  WorkerWatch(boost::asio::io_context& io, audit::DecisionLog& log, audit::Counters& counters)
      : log_(log), counters_(counters), log_warning_(counters), timer_(io) {}

  void start(workers::Runtime& runtime);  // until cancel()
  void cancel() { timer_.cancel(); }
  // Numbers of workers, from 1; empty: all are well.
  [[nodiscard]] const std::vector<std::size_t>& stalled() const { return stalled_; }

 private:
  audit::DecisionLog& log_;
  audit::Counters& counters_;
  LogWarning log_warning_;
  boost::asio::steady_timer timer_;
  std::vector<std::size_t> stalled_;
};

}  // namespace soleroute::gateway::serve
