// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/reload_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace soleroute::gateway::serve {

std::string workers_text(const std::vector<std::size_t>& numbers) {
  return fmt::format("worker{} {}", numbers.size() == 1 ? "" : "s", fmt::join(numbers, ", "));
}

void ReloadWatch::begin(PolicyInForce in_force, Answer answer) {
  auto& waiting = waiting_.emplace_back(std::move(in_force), std::move(answer), boost::asio::steady_timer(io_));
  waiting.timer.expires_after(kWait);
  waiting.timer.async_wait([this, &waiting](const boost::system::error_code& error) {
    if (!error) say_late(waiting);
  });
}

void ReloadWatch::say_late(Waiting& waiting) {
  waiting.late = true;
  waiting.in_force.behind = behind_();
  log_.error(fmt::format("the new policy is not active yet on {}, which does not respond",
                         workers_text(waiting.in_force.behind)));
  if (waiting.answer) std::exchange(waiting.answer, nullptr)(waiting.in_force);
}

void ReloadWatch::taken(std::uint64_t version) {
  while (!waiting_.empty() && waiting_.front().in_force.version <= version) {
    Waiting& first = waiting_.front();
    log_.reload(true, reload_detail(first.in_force));
    if (first.answer) first.answer(first.in_force);
    waiting_.pop_front();
  }
}

}  // namespace soleroute::gateway::serve
