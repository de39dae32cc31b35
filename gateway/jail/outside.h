// The gateway's side of a jail: makes it, lets the command go, passes signals and job control, brings back its status.
// Used on one thread; launch() before any other thread is started. Destruction ends the jail.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "gateway/jail/channel.h"
#include "gateway/jail/inside.h"
#include "gateway/jail/terminal.h"
#include "gateway/jail/trust.h"

namespace soleroute::gateway::jail {

// Exit statuses of a command that could not be executed, as in shells.
inline constexpr int kCannotExecute = 126;
inline constexpr int kNotFound = 127;

class Jail {
 public:
  // Returns when the inside has its namespaces and prepares its network; nothing forks from then on. All signals are
  // blocked (take_signals()).
  [[nodiscard]] static base::Result<Jail> launch(InsidePlan plan);
  // Tells it what to trust; returns when it is prepared. The command has not started.
  [[nodiscard]] base::Status complete(const Trust& trust);
  Jail(Jail&&) = default;
  Jail& operator=(Jail&&) = delete;
  ~Jail() { end(); }

  // What preparation handed out; once.
  [[nodiscard]] Message take_prepared() { return std::move(prepared_); }
  // Is everything in the jail in a PID namespace of its own?
  [[nodiscard]] bool has_pid_namespace() const { return pid_namespace_; }

  // Starts the command and returns its exit status when it has ended: its own, or 128 and the signal that ended it;
  // 127 or 126 if it could not be executed, which is said on stderr. A signal that ends programs and came before the
  // command started ends the jail at once, as 128 and its number.
  [[nodiscard]] base::Result<int> run();

  // Kills whatever is left in the jail and waits for it.
  void end();

 private:
  Jail() = default;
  [[nodiscard]] base::Result<Message> hear_of_preparation();
  [[nodiscard]] base::Result<int> watch();
  [[nodiscard]] base::Result<std::optional<int>> hear();
  void handle_signal(int signal, bool from_kernel);
  void command_stopped(int signal);
  void stop_ourselves(int signal);
  void forward(int signal);
  [[nodiscard]] pid_t command_group() const;
  [[nodiscard]] int cannot_execute(int err) const;

  // Move-only members: a moved-from jail has an empty channel and no process.
  struct Process {
    pid_t pid = 0;
    Process() = default;
    Process(Process&& other) noexcept : pid(std::exchange(other.pid, 0)) {}
    Process& operator=(Process&&) = delete;
  };
  Channel channel_;
  Process first_;      // the jail's first process, our child
  pid_t command_ = 0;  // as numbered out here; 0 before it started
  bool pid_namespace_ = true;
  std::string command_name_;
  Message prepared_;
  Terminal terminal_;
};

}  // namespace soleroute::gateway::jail
