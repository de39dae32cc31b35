// When to look whether all is as it should be: within milliseconds of what the kernel tells of, every two seconds in
// any case, and never more than twenty times a second.
// Used on one thread's event loop, in the network namespace that is watched. What is looked with outlives the watch.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "base/result.h"
#include "gateway/netlink/changes.h"

namespace soleroute::gateway::host {

class Watch {
 public:
  static constexpr std::chrono::milliseconds kPeriod{2000};
  static constexpr std::chrono::milliseconds kPause{50};  // between two looks, however much changes

  Watch(boost::asio::io_context& io, std::function<void()> look);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();
  // From now on. An error: the kernel tells of nothing, and only the period counts.
  [[nodiscard]] base::Status start(netlink::Changes::About about);
  // To be asked by a look: is it for the kernel's word, rather than for the time?
  [[nodiscard]] bool was_told() const;
  // To be called from a look: there is more to see after the pause.
  void look_again_soon();
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::host
