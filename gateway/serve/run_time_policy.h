// The policy in force where an operator can add entries to it: the files' layers, and the entries over them.
// Answers the control socket's allow, deny, allowed and forget. Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/flow/held_requests.h"
#include "gateway/serve/control_question.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/run_time_entries.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

class RunTimePolicy {
 public:
  using Taken = std::function<void(const base::Result<PolicyInForce>&)>;
  // Puts a policy in force, and calls `taken` later, once every worker has it. An error: nothing has changed, and
  // nothing is called.
  // Writes a policy file in place of the text that it had: host::replace_policy_file().
  using Write = std::function<base::Status(const std::string& path, std::string_view old_text, std::string_view text)>;
  using PutInForce = std::function<base::Status(std::shared_ptr<const policy::Policy> fresh, Taken taken)>;

  RunTimePolicy(boost::asio::io_context& io, audit::DecisionLog& log, PutInForce put, Write write)
      : log_(log), put_(std::move(put)), write_(std::move(write)), end_(io) {}
  // Requests that wait for an answer; null: none do. They outlive this.
  void use(flow::HeldRequests* held) { held_ = held; }

  // What the files say now, compiled with the entries that still fit over it.
  struct Laid {
    std::shared_ptr<const policy::Policy> policy;
    std::vector<policy::PolicySource> files;
    std::vector<std::string> paths;  // those of `files` that are files on disk, by their names
    RunTimeEntries entries;
    std::vector<RunTimeEntry> dropped;  // of agents that the files no longer have
  };
  [[nodiscard]] base::Result<Laid> lay_over(std::vector<policy::PolicySource> files,
                                            std::vector<std::string> paths) const;
  // This is in force from now on.
  void use(Laid laid);
  // The layers in force below the entries.
  [[nodiscard]] const std::vector<policy::PolicySource>& files() const { return files_; }

  [[nodiscard]] static bool answers(std::string_view ask);
  void answer(const ControlQuestion& question, const ControlSocket::Reply& reply);
  // The value of "entries" in the answer to "allowed".
  [[nodiscard]] std::string entries_json() const;

 private:
  using Clock = RunTimeEntry::Clock;
  void add(const ControlQuestion& question, const ControlSocket::Reply& reply);
  void forget(const ControlQuestion& question, const ControlSocket::Reply& reply);
  void answer_held(const ControlQuestion& question, const ControlSocket::Reply& reply);
  base::Status pass_once(const flow::HeldRequests::Request& request);
  // Behind a change: what is true once it is in force, and what is not as it was asked.
  struct Told {
    std::string sentence;
    std::string saved{};  // the file
    std::string warning{};
    std::optional<RunTimeEntry> added{};  // refused if a file's exception denies it
  };
  struct Layers {
    std::vector<policy::PolicySource> files;
    RunTimeEntries entries;
  };
  base::Status change(Layers layers, Told told, ControlSocket::Reply reply);
  // The entry into a policy file, and out of the entries. An error: nothing has changed.
  base::Result<std::string> save(const RunTimeEntry& entry, Layers& layers) const;
  void await_next_end();
  void end_those_whose_time_is_over();

  audit::DecisionLog& log_;
  PutInForce put_;
  Write write_;
  boost::asio::steady_timer end_;
  flow::HeldRequests* held_ = nullptr;
  std::vector<policy::PolicySource> files_;
  std::vector<std::string> paths_;
  RunTimeEntries entries_;
};

}  // namespace soleroute::gateway::serve
