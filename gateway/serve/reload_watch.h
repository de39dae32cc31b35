// Answers who asked for a reload once the policy is in force on every worker, or says after two seconds on which not.
// Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <vector>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/serve/control_socket.h"

namespace soleroute::gateway::serve {

// "worker 2", "workers 1, 3"
[[nodiscard]] std::string workers_text(const std::vector<std::size_t>& numbers);

class ReloadWatch {
 public:
  using Answer = std::function<void(const base::Result<PolicyInForce>&)>;
  static constexpr std::chrono::milliseconds kWait{2000};

  // `behind`: the workers that have not taken the newest policy.
  ReloadWatch(boost::asio::io_context& io, audit::DecisionLog& log, std::function<std::vector<std::size_t>()> behind)
      : io_(io), log_(log), behind_(std::move(behind)) {}

  // The rules are in the kernel and the workers have been told. `answer` may be empty.
  void begin(PolicyInForce in_force, Answer answer);
  // Every worker has the policy of this version, or a later one.
  void taken(std::uint64_t version);

 private:
  struct Waiting {
    PolicyInForce in_force;
    Answer answer;
    boost::asio::steady_timer timer;
    bool late = false;
  };
  void say_late(Waiting& waiting);

  boost::asio::io_context& io_;
  audit::DecisionLog& log_;
  std::function<std::vector<std::size_t>()> behind_;
  std::list<Waiting> waiting_;
};

}  // namespace soleroute::gateway::serve
