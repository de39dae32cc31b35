// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/operator_link.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace soleroute::gateway::serve {

OperatorLink::OperatorLink(audit::DecisionLog& next, std::chrono::milliseconds ask, std::string command)
    : next_(next), feeding_(next, feed_), command_text_(std::move(command)) {
  if (ask.count() == 0) return;
  flow::HeldRequests::Listeners listeners{.say = [this](std::string_view line) { feed_.say(line); }};
  if (!command_text_.empty()) {
    listeners.asked = [this](const flow::HeldRequests::Request& request) { hand_over(request); };
  }
  held_ = std::make_shared<flow::HeldRequests>(ask, std::move(listeners));
}

// On a worker's thread; the command is the controlling thread's.
void OperatorLink::hand_over(const flow::HeldRequests::Request& request) {
  boost::asio::post(*io_, [this, request] {
    if (command_) command_->ask(request);
  });
}

void OperatorLink::connect(boost::asio::io_context& io, RunTimePolicy& policy) {
  io_ = &io;
  policy.use(held_.get());
  if (!held_ || command_text_.empty()) return;
  command_ =
      std::make_unique<AskCommand>(io, next_, command_text_, [&policy](std::uint64_t id, const CommandAnswer& answer) {
        const ControlQuestion question{.ask = "answer", .lasts = answer.lasts, .id = id, .verdict = answer.verdict};
        policy.answer(question, [](const std::string&) {});  // the log has it
      });
}

std::unique_ptr<audit::DecisionFeed::Reader> OperatorLink::watch(audit::DecisionFeed::News news) {
  auto reader = feed_.read(std::move(news));
  if (!reader || !held_) return reader;
  if (const std::string waiting = held_->lines(); !waiting.empty()) reader->add(waiting);
  return reader;
}

void OperatorLink::close() {
  if (held_) held_->close();
  command_.reset();
}

}  // namespace soleroute::gateway::serve
