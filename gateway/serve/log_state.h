// Whether the log is being written, as status and standard error tell it.
// Used on the controlling thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "gateway/audit/counters.h"

namespace soleroute::gateway::serve {

// Why it is not written, "No space left on device"; empty: it is.
[[nodiscard]] std::string log_fault(const audit::Counters& counters);

// Says on standard error, once for each time, that the log cannot be written: nobody reads it in the log.
class LogWarning {
 public:
  explicit LogWarning(const audit::Counters& counters) : counters_(counters) {}
  // Now and then. Never waits for standard error.
  void look();

 private:
  const audit::Counters& counters_;
  bool said_ = false;
};

}  // namespace soleroute::gateway::serve
