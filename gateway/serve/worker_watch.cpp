// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/worker_watch.h"

#include <utility>

#include "gateway/serve/reload_watch.h"

namespace soleroute::gateway::serve {

void WorkerWatch::start(workers::Runtime& runtime) {
  runtime.ask_for_signs();
  auto stalled = runtime.stalled();
  if (!stalled.empty() && stalled != stalled_) {
    log_.error(workers_text(stalled) + " gave no sign of life for a second: connections there wait");
  }
  if (stalled.empty() && !stalled_.empty()) log_.lifecycle("workers", "all give signs of life again");
  stalled_ = std::move(stalled);
  counters_.workers_stalled = stalled_.size();
  log_warning_.look();
  timer_.expires_after(kEvery);
  timer_.async_wait([this, &runtime](const boost::system::error_code& error) {
    if (!error) start(runtime);
  });
}

}  // namespace soleroute::gateway::serve
