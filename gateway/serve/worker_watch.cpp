// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/worker_watch.h"

#include <utility>

#include "gateway/serve/reload_watch.h"

namespace soleroute::gateway::serve {

void WorkerWatch::start(workers::Runtime& runtime) {
  runtime.ask_for_signs();
  auto stalled = runtime.stalled();
  if (!stalled.empty() && stalled != stalled_) {
    log_.error(workers_text(stalled) + " did not respond for 1 s; its connections wait");
  }
  if (stalled.empty() && !stalled_.empty()) log_.lifecycle("workers", "all respond again");
  stalled_ = std::move(stalled);
  counters_.workers_stalled = stalled_.size();
  log_warning_.look();
  timer_.expires_after(kEvery);
  timer_.async_wait([this, &runtime](const boost::system::error_code& error) {
    if (!error) start(runtime);
  });
}

}  // namespace soleroute::gateway::serve
