// Writes lines to a descriptor from a thread of its own: a slow, closed or full receiver never delays who logs.
// Thread-safe. What does not fit the bounded queue is dropped, counted, and reported in a line once writing works
// again.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "gateway/audit/counters.h"

namespace soleroute::gateway::audit {

class LineWriter {
 public:
  static constexpr std::size_t kMaxQueuedLines = 8192;
  static constexpr std::size_t kMaxQueuedBytes = std::size_t{8} << 20;
  static constexpr std::chrono::milliseconds kBatch{5};         // lines gathered for one write(2)
  static constexpr std::chrono::milliseconds kRetry{200};       // after ENOSPC, EPIPE and the like
  static constexpr std::chrono::milliseconds kFinalFlush{500};  // on destruction
  static constexpr std::chrono::milliseconds kSlow{2000};       // a receiver that takes nothing for so long is a fault
  static constexpr std::chrono::milliseconds kReportEvery{1000};
  static constexpr std::size_t kMaxReported = 32;  // clients whose suppressed lines are counted by name

  // What is written of a line: one line, with its line end. Called on the writer's thread.
  using Shown = std::function<std::string(std::string_view line)>;

  // `dropped` counts lost lines, `fault` is the errno of writing while it fails; either may be null.
  LineWriter(base::Fd stream, Counter* dropped, std::atomic<int>* fault = nullptr, Shown shown = {});
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` ends with a newline. Never blocks on the receiver.
  void write(std::string_view line);
  // Counts a line that its author chose not to write (a rate limit on `client`); reported by its name once a second.
  void suppress(std::string_view client);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread, which may have to be left behind inside write(2)
};

}  // namespace soleroute::gateway::audit
