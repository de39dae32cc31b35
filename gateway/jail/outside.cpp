// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/outside.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <system_error>

#include "base/standard_error.h"
#include "base/text.h"
#include "gateway/jail/descendants.h"

namespace soleroute::gateway::jail {
namespace {

constexpr int kSignalBase = 128;  // what shells add to the number of a signal

// A signal that would have ended us by now, had it not been blocked while the jail was made.
std::optional<int> ended_before_the_start() {
  sigset_t pending;
  if (::sigpending(&pending) != 0) return std::nullopt;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction action{};
    if (::sigismember(&pending, signal) != 1 || ::sigaction(signal, nullptr, &action) != 0) continue;
    if (action.sa_handler != SIG_IGN) return kSignalBase + signal;
  }
  return std::nullopt;
}

bool stops(int signal) {
  return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU || signal == SIGSTOP;
}

base::Error with_cause(const base::Error& error) {
  const UserNamespaceSwitches switches = read_user_namespace_switches();
  const bool denied = error.sys_errno == EPERM || error.sys_errno == EACCES;
  if (!denied || switches.apparmor_restricts.value_or(0) == 0) return error;
  // AppArmor lets the namespace be made, and then gives no capability in it.
  return {fmt::format("{}\n{}", error.message, explain_forbidden(switches, error.sys_errno)), error.kind,
          error.sys_errno};
}

}  // namespace

base::Result<Jail> Jail::launch(InsidePlan plan) {
  SR_LET(ends, Channel::make());
  SR_LET(pid, fork_into(plan.namespaces));
  if (*pid == 0) run_inside(std::move(plan), std::move(ends->second));

  Jail jail;
  jail.first_.pid = *pid;
  jail.channel_ = std::move(ends->first);
  ends->second.close();
  jail.pid_namespace_ = plan.namespaces.pid;
  jail.command_name_ = plan.command.front();
  SR_LET(message, jail.hear_of_preparation());
  if (message->kind == MessageKind::kNoProc && plan.namespaces.pid) {
    // As in a container whose engine hides parts of /proc. Without a /proc of its own, a PID namespace would break
    // programs; without a PID namespace the jail is tidied up process by process.
    jail.end();
    plan.namespaces.pid = false;
    return launch(std::move(plan));
  }
  if (!plan.namespaces.pid && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return base::errno_error("cannot become the parent of orphaned processes");
  }
  jail.terminal_ = Terminal::open();
  return jail;
}

base::Result<Message> Jail::hear_of_preparation() {
  SR_LET(heard, channel_.receive());
  if (!*heard) return base::system_error("the jail's first process ended before it was ready");
  if ((*heard)->kind != MessageKind::kFailed) return std::move(**heard);
  return std::unexpected(with_cause({(*heard)->text, base::ErrorKind::kSystem, (*heard)->value}));
}

base::Status Jail::complete(const Trust& trust) {
  SR_LET(packed, pack_trust(trust));
  // If nobody listens any more, the reason is read next.
  static_cast<void>(channel_.send(*packed));
  SR_LET(message, hear_of_preparation());
  if (message->kind != MessageKind::kReady) return base::system_error("the jail's first process is not ready");
  prepared_ = std::move(*message);
  return {};
}

base::Result<int> Jail::run() {
  if (const auto status = ended_before_the_start()) return *status;
  const Message go{.kind = MessageKind::kGo, .value = 0, .text = {}, .fds = {}};
  SR_TRY(channel_.send(go));
  auto status = watch();
  const pid_t group = command_group();
  end();
  terminal_.finish(group, !status || *status > kSignalBase);
  return status;
}

base::Result<int> Jail::watch() {
  sigset_t watched = blocked_signals();
  ::sigdelset(&watched, SIGCHLD);
  ::sigdelset(&watched, SIGPIPE);
  const base::Fd signals(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return base::errno_error("cannot receive signals");
  std::array<pollfd, 2> waits{pollfd{channel_.fd(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;  // stopped and continued
      return base::errno_error("cannot wait for the command");
    }
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      handle_signal(static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL);
    }
    if (waits[0].revents == 0) continue;
    SR_LET(status, hear());
    if (*status) return **status;
  }
}

base::Result<std::optional<int>> Jail::hear() {
  SR_LET(heard, channel_.receive());
  if (!*heard) return base::system_error("the jail was killed from outside; the command has ended");
  const Message& message = **heard;
  switch (message.kind) {
    case MessageKind::kStarted:
      command_ = message.sender;
      return std::nullopt;
    case MessageKind::kNotFound:
      return cannot_execute(message.value);
    case MessageKind::kStopped:
      command_stopped(message.value);
      return std::nullopt;
    case MessageKind::kExited:
      return WIFSIGNALED(message.value) ? kSignalBase + WTERMSIG(message.value) : WEXITSTATUS(message.value);
    case MessageKind::kFailed:
      return std::unexpected(base::Error{message.text, base::ErrorKind::kSystem, message.value});
    default:
      return std::nullopt;
  }
}

// The command is usually in our process group, so what the terminal sends it has already; what somebody sends to us
// alone it must be told of.
void Jail::handle_signal(int signal, bool from_kernel) {
  if (signal == SIGCONT || signal == SIGWINCH) return;  // stop_ourselves() goes on where it stopped
  if (from_kernel && stops(signal)) return;
  // ^C while the command leads a group of its own and the shell brought us to the foreground without it.
  const bool shared = command_group() == ::getpgrp();
  if (from_kernel && shared && (signal == SIGINT || signal == SIGQUIT)) return;
  forward(signal);  // SIGHUP too: the kernel tells the leader of a session alone that its terminal is gone
}

void Jail::forward(int signal) {
  const Message message{.kind = MessageKind::kSignal, .value = signal, .text = {}, .fds = {}};
  // If nobody listens, the end of the stream is read next.
  static_cast<void>(channel_.send(message));
}

pid_t Jail::command_group() const {
  if (command_ == 0) return ::getpgrp();
  const pid_t group = ::getpgid(command_);
  return group > 0 ? group : ::getpgrp();
}

// The shell that started us watches us, not the command: we stop with it and go on with it.
void Jail::command_stopped(int signal) {
  const pid_t group = command_group();
  const bool wants_terminal = signal == SIGTTIN || signal == SIGTTOU;
  if (!(wants_terminal && terminal_.ours())) {
    if (terminal_.foreground() == group) terminal_.give_to(::getpgrp());
    stop_ourselves(signal);
  }
  if (group != ::getpgrp() && terminal_.ours()) terminal_.give_to(group);
  forward(SIGCONT);
}

void Jail::stop_ourselves(int signal) {
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, stops(signal) ? signal : SIGSTOP);
  ::kill(::getpid(), stops(signal) ? signal : SIGSTOP);
  // Here this process stops, all its threads with it, until SIGCONT.
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  ::pthread_sigmask(SIG_BLOCK, &only, nullptr);
}

int Jail::cannot_execute(int err) const {
  std::string reason = err == ENOENT ? "command not found" : std::generic_category().message(err);
  if (err == EPERM) reason += "; it may need a capability, such as CAP_NET_RAW, which a sandboxed command never has";
  base::to_standard_error(
      fmt::format("gateway: {}: {}\n", command_name_.empty() ? "''" : base::shown(command_name_), reason));
  return err == ENOENT ? kNotFound : kCannotExecute;
}

void Jail::end() {
  if (first_.pid == 0) return;
  channel_.close();
  ::kill(first_.pid, SIGKILL);
  while (::waitpid(first_.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  first_.pid = 0;
  if (!pid_namespace_) kill_descendants();
}

}  // namespace soleroute::gateway::jail
