// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/inside.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "gateway/jail/descendants.h"
#include "gateway/jail/ping.h"
#include "gateway/jail/syscall_filter.h"
#include "gateway/jail/trust.h"

namespace soleroute::gateway::jail {
namespace {

[[noreturn]] void leave() {
  ::_exit(0);
}

void report(Channel& channel, MessageKind kind, int value, std::string text = {}) {
  const Message message{.kind = kind, .value = value, .text = std::move(text), .fds = {}};
  // The gateway is gone: so is the jail.
  if (!channel.send(message)) leave();
}

[[noreturn]] void fail(Channel& channel, const base::Error& error) {
  report(channel, MessageKind::kFailed, error.sys_errno, error.message);
  leave();
}

base::Status map_identity(const Identity& identity) {
  auto mapped = map_own_identity(identity.uid, identity.gid);
  if (mapped || identity.uid != 0 || mapped.error().sys_errno != EPERM) return mapped;
  return std::unexpected(base::Error{
      fmt::format("{}\n  root without CAP_SETFCAP cannot create a user namespace: run gateway as an ordinary user, or "
                  "give the container that capability",
                  mapped.error().message),
      base::ErrorKind::kSystem, EPERM});
}

// With a PID namespace the kernel's signal is the quickest end; without one this process must live to end the others,
// and learns of the gateway's death from the channel.
base::Status tie_to_gateway(const InsidePlan& plan) {
  return plan.namespaces.pid ? die_with_parent() : base::Status{};
}

base::Status enter(const InsidePlan& plan) {
  SR_TRY(tie_to_gateway(plan));
  SR_TRY(set_dumpable(false));
  if (plan.namespaces.user) {
    SR_TRY(map_identity(plan.identity));
  }
  if (!plan.namespaces.pid && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return base::errno_error("cannot become the parent of orphaned processes");
  }
  return leave_host_mounts();
}

void await_trust(InsidePlan& plan, Channel& channel) {
  const auto word = channel.receive();
  if (!word || !*word || (*word)->kind != MessageKind::kTrust) leave();
  auto trust = unpack_trust(**word);
  if (!trust) fail(channel, trust.error());
  if (trust->bundle) plan.mounts.files.push_back(std::move(*trust->bundle));
  if (trust->additions) plan.mounts.lone_files.push_back(std::move(*trust->additions));
  for (FileReplacement& store : trust->stores) plan.mounts.files.push_back(std::move(store));
  plan.mounts.added_files = std::move(trust->added_files);
  plan.environment = with_variables(std::move(plan.environment), trust->variables);
}

void prepare(InsidePlan& plan, Channel& channel) {
  if (auto entered = enter(plan); !entered) fail(channel, entered.error());
  if (plan.namespaces.pid) {
    if (auto mounted = mount_fresh_proc(); !mounted) {
      report(channel, MessageKind::kNoProc, mounted.error().sys_errno, mounted.error().message);
      leave();
    }
  }
  report(channel, MessageKind::kEntered, 0);
  auto prepared = plan.prepare();
  if (!prepared) fail(channel, prepared.error());
  await_trust(plan, channel);
  if (auto covered = cover_host_paths(plan.mounts); !covered) fail(channel, covered.error());
  ignore_file_capabilities();
  allow_echo_sockets(plan.namespaces.user ? KnownGroups::kOne : KnownGroups::kAll, plan.identity.gid);
  if (plan.identity.uid == 0) {
    if (auto guarded = guard_kernel_files(); !guarded) fail(channel, guarded.error());
  }
  prepared->kind = MessageKind::kReady;
  if (!channel.send(*prepared)) leave();
}

// Linux 5.12: root may keep its number in a user namespace only if who makes it holds CAP_SETFCAP.
std::uint64_t kept_for_nesting(const InsidePlan& plan) {
  return plan.namespaces.user && plan.identity.uid == 0 ? std::uint64_t{1} << CAP_SETFCAP : 0;
}

// Root of the machine, with privilege, keeps its power over files in the nested user namespace, so that package
// managers work.
bool is_machine_root(const InsidePlan& plan) {
  return !plan.namespaces.user && plan.identity.uid == 0 && !plan.identity.borrowed;
}

// Without a user namespace of the jail's own, the command's is made by root, and every user and group keeps its number.
// Linux 5.12: root is among them only if who writes the maps holds CAP_SETFCAP.
bool may_nest_for_everybody() {
  return ::geteuid() == 0 && has_capability(CAP_SETFCAP);
}

base::Status become_in_its_namespace(const InsidePlan& plan, bool nested) {
  // Where none can be made, root stays without any capability.
  if (is_machine_root(plan) && nested) return keep_file_capabilities();
  return drop_privileges(plan.identity.borrowed ? &plan.identity : nullptr);
}

// A process of the same user in another user namespace cannot be attached to, read or looked into, whatever procfs the
// mounts show.
base::Status nest_for_everybody(const InsidePlan& plan, Channel& meeting) {
  const bool nested = may_nest_for_everybody() && ::unshare(CLONE_NEWUSER) == 0;
  const Message word{.kind = nested ? MessageKind::kReady : MessageKind::kFailed, .value = 0, .text = {}, .fds = {}};
  SR_TRY(meeting.send(word));
  const auto answer = meeting.receive();
  if (!answer || !*answer || (*answer)->kind != MessageKind::kReady) {
    return base::system_error("cannot isolate the command from other processes");
  }
  return become_in_its_namespace(plan, nested);
}

// The command's process could make no user namespace: other processes of its user are kept from it by their numbers.
base::Status separate_by_number(const InsidePlan& plan) {
  if (plan.namespaces.pid) return hide_other_procfs();
  return base::system_error(
      "cannot create a user namespace or mount a new /proc, so nothing isolates the command from other processes of "
      "its user");
}

void meet_the_command(const InsidePlan& plan, pid_t command, Channel& meeting, Channel& channel) {
  const auto word = meeting.receive();
  if (!word || !*word) return;
  const bool nested = (*word)->kind == MessageKind::kReady;
  if (auto separated = nested ? map_every_identity(command) : separate_by_number(plan); !separated) {
    fail(channel, separated.error());
  }
  report(meeting, MessageKind::kReady, 0);
}

base::Status drop_to_command_user(const InsidePlan& plan, Channel& meeting) {
  if (!plan.namespaces.user) return nest_for_everybody(plan, meeting);
  // One level further down than the owner of the network namespace: whatever capability the command may ever gain, it
  // is over its own user namespace and not over that one.
  SR_TRY(enter_nested_user_namespace(plan.identity.uid, plan.identity.gid));
  return drop_privileges(nullptr);
}

base::Status become_command(const InsidePlan& plan, Channel& meeting) {
  SR_TRY(drop_to_command_user(plan, meeting));
  SR_TRY(die_with_parent());
  SR_TRY(install_syscall_filter());
  SR_TRY(close_on_exec_from_three());
  return restore_signals(plan.signals);
}

[[noreturn]] void run_command(const InsidePlan& plan, Channel& channel, Channel& meeting) {
  if (auto ready = become_command(plan, meeting); !ready) fail(channel, ready.error());
  report(channel, MessageKind::kStarted, 0);
  const int err = execute(plan.command, plan.environment);
  report(channel, MessageKind::kNotFound, err);
  leave();
}

// What this process keeps until the command's has its own user namespace; all of it where that one's maps are written
// by this one.
base::Status drop_early(const InsidePlan& plan) {
  if (!plan.namespaces.user) return {};
  return drop_privileges(nullptr, kept_for_nesting(plan));
}

base::Status drop_the_rest(const InsidePlan& plan) {
  const Identity* identity = plan.identity.borrowed ? &plan.identity : nullptr;
  SR_TRY(drop_privileges(identity));
  // A change of user unties a process from its parent and may make it dumpable.
  SR_TRY(tie_to_gateway(plan));
  return set_dumpable(false);
}

pid_t start_command(InsidePlan& plan, Channel& channel) {
  if (auto dropped = drop_early(plan); !dropped) fail(channel, dropped.error());
  if (auto hidden = set_dumpable(false); !hidden) fail(channel, hidden.error());
  auto meeting = Channel::make();
  if (!meeting) fail(channel, meeting.error());
  const pid_t command = ::fork();
  if (command < 0) fail(channel, base::errno_error("cannot start a process").error());
  if (command == 0) {
    meeting->first.close();  // else the end of this process would go unnoticed
    plan.socket_requests.close();
    run_command(plan, channel, meeting->second);
  }
  meeting->second.close();
  if (!plan.namespaces.user) meet_the_command(plan, command, meeting->first, channel);
  if (auto dropped = drop_the_rest(plan); !dropped) fail(channel, dropped.error());
  return command;
}

// Nobody waits for the end of a stream because this process holds it.
void detach(Channel& channel) {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (auto detached = detach_descriptor(fd); !detached) fail(channel, detached.error());
  }
}

// Reaps whoever has ended and tells of the command. True when the command itself has ended.
bool reap(pid_t command, Channel& channel) {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED);
    if (pid <= 0) return false;
    if (pid != command) continue;
    if (WIFSTOPPED(status)) {
      report(channel, MessageKind::kStopped, WSTOPSIG(status));
    } else if (WIFCONTINUED(status)) {
      report(channel, MessageKind::kContinued, 0);
    } else {
      report(channel, MessageKind::kExited, status);
      return true;
    }
  }
}

void deliver(pid_t command, int signal) {
  // A shell with job control leads a group of its own, and what it stopped with it must go on with it.
  const bool leads = ::getpgid(command) == command;
  if (signal == SIGCONT && leads) {
    ::kill(-command, signal);
  } else {
    ::kill(command, signal);
  }
}

bool obey(pid_t command, Channel& channel) {
  const auto message = channel.receive();
  if (!message || !*message) return false;
  if ((*message)->kind == MessageKind::kSignal) deliver(command, (*message)->value);
  return true;
}

// Answers one request; what cannot be made is answered without a descriptor.
void make_socket(Channel& requests) {
  const auto asked = requests.receive();
  if (!asked || !*asked || (*asked)->kind != MessageKind::kSocket) return requests.close();
  const int family = (*asked)->value == AF_INET6 ? AF_INET6 : AF_INET;
  Message made{.kind = MessageKind::kSocket, .value = 0, .text = (*asked)->text, .fds = {}};
  base::Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket) made.fds.push_back(std::move(socket));
  if (!requests.send(made)) requests.close();
}

// The end of process 1 ends everything in its PID namespace. Without one, whoever is left is found and ended here.
[[noreturn]] void end(const InsidePlan& plan) {
  if (!plan.namespaces.pid) kill_descendants();
  leave();
}

[[noreturn]] void keep(InsidePlan& plan, pid_t command, Channel& channel) {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  const base::Fd children(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!children) fail(channel, base::errno_error("cannot wait for the command").error());
  Channel& requests = plan.socket_requests;
  std::array<pollfd, 3> waits{pollfd{children.get(), POLLIN, 0}, pollfd{channel.fd(), POLLIN, 0},
                              pollfd{requests.fd(), POLLIN, 0}};
  for (;;) {
    if (reap(command, channel)) end(plan);
    waits[2].fd = requests.fd();  // none: the kernel passes over it
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    signalfd_siginfo ignored{};
    while (::read(children.get(), &ignored, sizeof ignored) > 0) {
    }
    if (waits[1].revents != 0 && !obey(command, channel)) end(plan);
    if (waits[2].revents != 0) make_socket(requests);
  }
}

}  // namespace

void run_inside(InsidePlan plan, Channel channel) noexcept {
  close_all_but(channel.fd(), plan.socket_requests.fd());
  prepare(plan, channel);
  const auto word = channel.receive();
  if (!word || !*word || (*word)->kind != MessageKind::kGo) leave();
  const pid_t command = start_command(plan, channel);
  detach(channel);
  keep(plan, command, channel);
}

}  // namespace soleroute::gateway::jail
