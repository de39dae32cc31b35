// What an operator sees and changes while a command runs in its jail: a control socket outside, which the command
// cannot reach, served by a thread of its own.
// Made, opened and closed on the thread that runs the jail; the log is used from any thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/flow/held_requests.h"
#include "gateway/jail/credentials.h"
#include "gateway/workers/runtime.h"
#include "netrules/plan.h"
#include "policy/policy.h"

namespace soleroute::gateway::jail {

// The folder for it, made if it is missing, with the rights of the command's user. Nothing: there is no place for one.
// What is in it must be hidden from the command. Before any thread is started.
[[nodiscard]] std::optional<std::string> make_control_folder(const Identity& identity);
// The same folder as other runs of this user may use it, and those that they may use besides.
[[nodiscard]] std::vector<std::string> control_folders_to_hide(const Identity& identity);

// The rules of a jail's network for this policy; ports and queue are still to be filled in.
[[nodiscard]] netrules::Intent jail_intent(const policy::Policy& policy);

struct DeskOptions {
  std::string folder{};                          // of the socket
  std::vector<policy::PolicySource> layers{};    // of the policy in force
  std::vector<std::string> paths{};              // those of the layers that are files
  std::shared_ptr<const policy::Policy> policy;  // in force when the command starts: its rules stay
  std::string version{};                         // of the program
};

class OperatorDesk {
 public:
  // Decisions go on to `next`, which outlives this.
  // `ask`, `command`: as in serve::OperatorLink.
  OperatorDesk(audit::DecisionLog& next, std::chrono::milliseconds ask, std::string command);
  ~OperatorDesk();
  OperatorDesk(const OperatorDesk&) = delete;
  OperatorDesk& operator=(const OperatorDesk&) = delete;

  // For the workers.
  [[nodiscard]] audit::DecisionLog& log();
  // Likewise; null: what is denied is denied at once.
  [[nodiscard]] std::shared_ptr<flow::HeldRequests> held() const;
  // From now on it answers. `runtime` and `counters` outlive close().
  [[nodiscard]] base::Status open(DeskOptions options, workers::Runtime& runtime, const audit::Counters& counters);
  // Joins its thread. The policy files that an operator's entries were saved to, as they are now.
  std::vector<policy::PolicySource> close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::jail
