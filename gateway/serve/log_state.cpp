// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/log_state.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/standard_error.h"

namespace soleroute::gateway::serve {
namespace {

bool takes_text(int descriptor) {
  pollfd asked{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLERR | POLLNVAL)) == 0;
}

}  // namespace

std::string log_fault(const audit::Counters& counters) {
  const int fault = counters.log_fault.load();
  if (fault == 0) return {};
  return fault == ETIMEDOUT ? "its reader does not read" : std::generic_category().message(fault);
}

void LogWarning::look() {
  const std::string fault = log_fault(counters_);
  if (fault.empty()) said_ = false;
  if (fault.empty() || said_ || !takes_text(STDERR_FILENO)) return;
  said_ = true;
  base::to_standard_error(fmt::format(
      "gateway: cannot write the log: {}. Decisions continue; their records are lost and counted\n", fault));
}

}  // namespace soleroute::gateway::serve
