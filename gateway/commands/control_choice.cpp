// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/control_choice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "gateway/serve/control_places.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/options.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kShownCommand = 60;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

std::optional<uid_t> sudo_user() {
  const std::string_view text = variable("SUDO_UID");
  uid_t user = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), user);
  if (::geteuid() != 0 || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return user;
}

std::vector<std::string> running() {
  auto sockets = serve::answering_run_sockets(::geteuid(), variable("XDG_RUNTIME_DIR"));
  if (const auto user = sudo_user()) {
    for (auto& socket : serve::answering_run_sockets(*user, {})) {
      if (std::ranges::find(sockets, socket) == sockets.end()) sockets.push_back(std::move(socket));
    }
  }
  return sockets;
}

// "gateway run npm ci", of the process whose number is in the socket's name.
std::string command_of(const std::string& socket) {
  const auto begin = socket.rfind('-') + 1;
  std::ifstream file("/proc/" + socket.substr(begin, socket.rfind('.') - begin) + "/cmdline");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::ranges::replace(text, '\0', ' ');
  if (text.size() > kShownCommand) text = text.substr(0, kShownCommand) + "…";
  return base::shown(text);
}

}  // namespace

base::Result<std::string> choose_control_socket(const std::string& named) {
  if (named != serve::kDefaultControlSocket || !serve::check_alone(named)) return named;
  auto sockets = running();
  if (sockets.empty()) return named;
  if (sockets.size() == 1) return std::move(sockets.front());
  std::string list;
  for (const std::string& socket : sockets) list += fmt::format("\n  --control {}  {}", socket, command_of(socket));
  return base::usage_error("several gateways run here; choose one:" + list);
}

}  // namespace soleroute::gateway::commands
