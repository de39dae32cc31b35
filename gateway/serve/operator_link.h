// What a serving gateway shows its operator, and asks: the feed of decisions, and the requests that wait for an answer.
// log(), held() and what they do: from any thread. The rest on the controlling thread.
// Outlives the event loop that it is connected to.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "gateway/audit/decision_feed.h"
#include "gateway/flow/held_requests.h"
#include "gateway/serve/ask_command.h"
#include "gateway/serve/run_time_policy.h"

namespace soleroute::gateway::serve {

class OperatorLink {
 public:
  // Decisions go on to `next`. `ask`: so long a denied request waits; 0: not at all. `command`: --ask-command, or
  // empty.
  OperatorLink(audit::DecisionLog& next, std::chrono::milliseconds ask, std::string command);
  ~OperatorLink() = default;
  OperatorLink(const OperatorLink&) = delete;
  OperatorLink& operator=(const OperatorLink&) = delete;

  [[nodiscard]] audit::DecisionLog& log() { return feeding_; }
  [[nodiscard]] const std::shared_ptr<flow::HeldRequests>& held() const { return held_; }

  // Answers lead to `policy`. Before the workers start.
  void connect(boost::asio::io_context& io, RunTimePolicy& policy);
  // Of the control socket.
  [[nodiscard]] std::unique_ptr<audit::DecisionFeed::Reader> watch(audit::DecisionFeed::News news);
  // What waits is denied, and nothing waits any more.
  void close();

 private:
  void hand_over(const flow::HeldRequests::Request& request);

  audit::DecisionLog& next_;
  audit::DecisionFeed feed_;
  audit::FeedingLog feeding_;
  std::string command_text_;
  boost::asio::io_context* io_ = nullptr;
  std::unique_ptr<AskCommand> command_;
  std::shared_ptr<flow::HeldRequests> held_;
};

}  // namespace soleroute::gateway::serve
