// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/unit/netrules/support.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace soleroute::netrules::testing {
namespace {

void write_file(const char* path, const std::string& text) {
  const base::Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    ADD_FAILURE() << path << ": " << std::strerror(errno);
  }
}

// Only once in the life of the process: namespaces of users nest no deeper than needed.
std::string enter_user_namespace() {
  const std::string uid = std::to_string(::getuid());
  const std::string gid = std::to_string(::getgid());
  if (::unshare(CLONE_NEWUSER) != 0) {
    if (::geteuid() == 0) return {};  // root needs none
    return fmt::format("user namespaces are not possible here: {}", std::strerror(errno));
  }
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 " + uid + " 1");
  write_file("/proc/self/gid_map", "0 " + gid + " 1");
  return {};
}

std::string find_program(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
  }
  return name;
}

// Spawned rather than forked: a fork copies the page tables, which takes long under a sanitizer.
pid_t spawn(const std::vector<std::string>& command, int in, int out, int err) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, find_program(command.front()).c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) ADD_FAILURE() << command.front() << ": " << std::strerror(error);
  return error == 0 ? pid : -1;
}

struct Pipe {
  base::Fd read, write;
};
Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "pipe: " << std::strerror(errno);
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

// Moves what there is from a pipe; closes it at its end.
void drain(base::Fd& from, std::string& to) {
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
  if (got > 0) {
    to.append(buffer.data(), static_cast<std::size_t>(got));
  } else {
    from.reset();
  }
}

// Link-local addresses are usable at once: a test does not wait out duplicate address detection.
void settle_new_namespace() {
  set_sysctl("ipv6/conf/default/accept_dad=0");
  ip("link set lo up");
}

}  // namespace

std::string enter_fresh_namespace() {
  static const std::string problem = enter_user_namespace();
  if (!problem.empty()) return problem;
  if (::unshare(CLONE_NEWNET) != 0) {
    return fmt::format("network namespaces are not possible here: {}", std::strerror(errno));
  }
  settle_new_namespace();
  return {};
}

base::Fd current_namespace() {
  return base::Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

base::Fd make_namespace() {
  const base::Fd here = current_namespace();
  if (::unshare(CLONE_NEWNET) != 0) ADD_FAILURE() << "unshare: " << std::strerror(errno);
  settle_new_namespace();
  base::Fd made = current_namespace();
  if (::setns(here.get(), CLONE_NEWNET) != 0) ADD_FAILURE() << "setns: " << std::strerror(errno);
  return made;
}

void inside(const base::Fd& network_namespace, const std::function<void()>& body) {
  const base::Fd here = current_namespace();
  if (::setns(network_namespace.get(), CLONE_NEWNET) != 0) ADD_FAILURE() << "setns: " << std::strerror(errno);
  body();
  if (::setns(here.get(), CLONE_NEWNET) != 0) ADD_FAILURE() << "setns: " << std::strerror(errno);
}

Outcome run(const std::vector<std::string>& command, std::string_view input) {
  Pipe in = make_pipe(), out = make_pipe(), err = make_pipe();
  const pid_t pid = spawn(command, in.read.get(), out.write.get(), err.write.get());
  if (pid < 0) return {};
  in.read.reset();
  out.write.reset();
  err.write.reset();
  Outcome outcome;
  while (out.read || err.read) {
    std::array<pollfd, 3> wait{pollfd{out.read.get(), POLLIN, 0}, pollfd{err.read.get(), POLLIN, 0},
                               pollfd{in.write.get(), POLLOUT, 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0) break;
    if ((wait[2].revents & (POLLOUT | POLLERR)) != 0) {
      const ssize_t wrote = ::write(in.write.get(), input.data(), std::min<std::size_t>(input.size(), 4096));
      if (wrote > 0) input.remove_prefix(static_cast<std::size_t>(wrote));
      if (wrote < 0 || input.empty()) in.write.reset();
    }
    if (wait[0].revents != 0) drain(out.read, outcome.out);
    if (wait[1].revents != 0) drain(err.read, outcome.err);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

void ip(const std::string& arguments) {
  std::vector<std::string> command{"ip"};
  std::istringstream words(arguments);
  for (std::string word; words >> word;) command.push_back(word);
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.status, 0) << "ip " << arguments << ": " << outcome.err;
}

void set_sysctl(const std::string& setting) {
  const auto equals = setting.find('=');
  write_file(("/proc/sys/net/" + setting.substr(0, equals)).c_str(), setting.substr(equals + 1));
}

void add_veth(const std::string& here, const std::string& there, const base::Fd& network_namespace) {
  ip(fmt::format("link add {} type veth peer name {} netns /proc/{}/fd/{}", here, there, ::getpid(),
                 network_namespace.get()));
}

Intent intent_for(Topology topology) {
  Intent intent;
  intent.topology = topology;
  intent.inside_interface = "in0";
  intent.redirect_port = 15001;
  intent.dns_port = 15053;
  intent.explicit_proxy_port = 8080;
  intent.udp_port = 15123;
  intent.gateway_mark = 0x51;
  intent.gateway_addresses = {*base::IpAddress::parse("10.77.0.2"), *base::IpAddress::parse("fd77::2")};
  intent.denied_networks = {*base::Cidr::parse("100.65.0.0/16"), *base::Cidr::parse("fd73:6f6c:6572:1::/64")};
  return intent;
}

std::vector<NamedIntent> all_intents() {
  using Transport = EndpointRule::Transport;
  const std::vector<EndpointRule> endpoints{
      {Transport::kTcp, std::nullopt, {5432}, "policy.yaml:9"},
      {Transport::kTcp, *base::Cidr::parse("192.0.2.0/28"), {8000, 8001}, "policy.yaml:10"},
      {Transport::kTcp, *base::Cidr::parse("198.51.100.0/24"), {22}, "policy.yaml:11"},
      {Transport::kTcp, *base::Cidr::parse("2001:db8::/33"), {22, 2222}, "policy.yaml:12"},
      {Transport::kTcp, *base::Cidr::parse("2001:db8:1::7"), {25}, "policy.yaml:13"},
      {Transport::kTcp, *base::Cidr::parse("0.0.0.0/0"), {9418}, "policy.yaml:14"},
      {Transport::kUdp, std::nullopt, {123}, "policy.yaml:15"},
      {Transport::kTcp,
       *base::Cidr::parse("192.0.2.32/28"),
       {7000, 7002},
       "policy.yaml:16",
       {{9000, 9010}, {9020, 9029}}},
      {Transport::kUdp, *base::Cidr::parse("192.0.2.48/28"), {}, "policy.yaml:17", {{52, 60}, {5000, 5010}}},
  };
  const std::vector<std::pair<std::string, Topology>> topologies{{"router", Topology::kRouter},
                                                                 {"sidecar", Topology::kSidecar},
                                                                 {"jail", Topology::kJail},
                                                                 {"guard", Topology::kGuard}};
  std::vector<NamedIntent> all;
  for (const auto& [name, topology] : topologies) {
    Intent intent = intent_for(topology);
    all.push_back({name + "-closed", intent, false});
    all.push_back({name + "-open", intent, true});
    intent.explicit_proxy_port = 0;
    all.push_back({name + "-without-proxy", intent, true});
    if (topology != Topology::kGuard) {
      intent = intent_for(topology);
      intent.capture_all_tcp = true;
      all.push_back({name + "-observe", intent, true});
    }
    intent = intent_for(topology);
    intent.endpoints = endpoints;
    intent.packet_queue = 19;
    all.push_back({name + "-native-queue", intent, true});
    intent.native_queue = false;
    all.push_back({name + "-compat-queue", intent, true});
  }
  return all;
}

Ruleset rules_of(const NamedIntent& named) {
  const auto rules = named.open ? open_rules(named.intent) : closed_rules(named.intent);
  if (!rules) ADD_FAILURE() << named.name << ": " << rules.error().message;
  return rules.value_or(Ruleset{});
}

}  // namespace soleroute::netrules::testing
