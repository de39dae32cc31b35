// `--ask-command`: a program of the operator's that is asked about each held request, for editors and chat.
// It gets the request as a line of JSON on standard input, and prints the answer: once, for TIME, always or no.
// Used on the controlling thread's event loop. Bounded: so many at once; the others wait for their turn.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/audit/decision_log.h"
#include "gateway/flow/held_requests.h"

namespace soleroute::gateway::serve {

// What such a program printed; nothing: no answer that is known.
struct CommandAnswer {
  std::string verdict{};  // once, for, always, no
  std::optional<std::chrono::seconds> lasts{};
};
[[nodiscard]] std::optional<CommandAnswer> parse_command_answer(std::string_view printed);

class AskCommand {
 public:
  static constexpr std::size_t kAtOnce = 4;
  static constexpr std::size_t kMaxPrinted = 4096;

  using Answer = std::function<void(std::uint64_t id, const CommandAnswer& answer)>;

  // `command` is for a shell. Nothing from the network is in it, nor in the environment.
  AskCommand(boost::asio::io_context& io, audit::DecisionLog& log, std::string command, Answer answer);
  ~AskCommand();  // ends the programs that run
  AskCommand(const AskCommand&) = delete;
  AskCommand& operator=(const AskCommand&) = delete;

  void ask(flow::HeldRequests::Request request);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::serve
