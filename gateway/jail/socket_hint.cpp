// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/socket_hint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/mount_info.h"
#include "base/text.h"

namespace soleroute::gateway::jail {
namespace {

// What a program connects to: the socket that its variable names, or one of the usual ones.
struct SocketUser {
  std::string_view program;
  std::string_view variable;  // empty: none
  std::array<std::string_view, 2> usual;
};
constexpr std::array kSocketUsers{
    SocketUser{"docker", "DOCKER_HOST", {"/var/run/docker.sock", "/run/docker.sock"}},
    SocketUser{"docker-compose", "DOCKER_HOST", {"/var/run/docker.sock", "/run/docker.sock"}},
    SocketUser{"podman", "CONTAINER_HOST", {"/run/podman/podman.sock", ""}},
    SocketUser{"nerdctl", "CONTAINERD_ADDRESS", {"/run/containerd/containerd.sock", ""}},
    SocketUser{"ssh-add", "SSH_AUTH_SOCK", {"", ""}},
    SocketUser{"ssh", "SSH_AUTH_SOCK", {"", ""}},
    SocketUser{"scp", "SSH_AUTH_SOCK", {"", ""}},
    SocketUser{"sftp", "SSH_AUTH_SOCK", {"", ""}},
    SocketUser{"systemctl", "DBUS_SYSTEM_BUS_ADDRESS", {"/run/systemd/private", "/run/dbus/system_bus_socket"}},
    SocketUser{"systemd-run", "DBUS_SYSTEM_BUS_ADDRESS", {"/run/systemd/private", "/run/dbus/system_bus_socket"}},
    SocketUser{"tmux", "TMUX", {"", ""}},
};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// Also in a script: `sh -c "cd x && docker ps"`.
bool names_program(std::string_view argument, std::string_view program) {
  for (std::size_t at = argument.find(program); at != std::string_view::npos; at = argument.find(program, at + 1)) {
    const std::size_t end = at + program.size();
    const bool begins = at == 0 || !is_word(argument[at - 1]);
    if (begins && (end == argument.size() || (!is_word(argument[end]) && argument[end] != '/'))) return true;
  }
  return false;
}

// "unix:///run/x.sock", "unix:path=/run/x", "/tmp/tmux-0/default,1,2": the path.
std::string_view path_in(std::string_view value) {
  const auto start = value.find('/');
  if (start == std::string_view::npos) return {};
  value.remove_prefix(start);
  while (value.starts_with("//")) value.remove_prefix(1);
  return value.substr(0, value.find_first_of(",;"));
}

std::string_view value_of(std::span<const std::string> environment, std::string_view name) {
  for (const std::string_view entry : environment) {
    if (!name.empty() && entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return {};
}

bool is_hidden(std::string_view path, std::span<const std::string> hidden) {
  return !path.empty() &&
         std::ranges::any_of(hidden, [path](const std::string& each) { return base::is_in(path, each); });
}

}  // namespace

std::string socket_hint(std::span<const std::string> command, std::span<const std::string> environment,
                        std::span<const std::string> hidden) {
  for (const SocketUser& user : kSocketUsers) {
    if (std::ranges::none_of(command, [&](const std::string& each) { return names_program(each, user.program); }))
      continue;
    for (const std::string_view path : {path_in(value_of(environment, user.variable)), user.usual[0], user.usual[1]}) {
      if (!is_hidden(path, hidden)) continue;
      return fmt::format("{} uses {}, and Unix sockets are hidden: --unix-socket {} allows it", user.program,
                         base::shown(path), base::shown(path));
    }
  }
  return {};
}

}  // namespace soleroute::gateway::jail
