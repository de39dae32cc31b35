// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/control_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "gateway/commands/control_choice.h"
#include "gateway/commands/control_question.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kQuestion = "{\"ask\":\"watch\"}\n";
constexpr std::size_t kMaxLine = std::size_t{1} << 20;  // far longer than any line of the gateway
constexpr std::size_t kRead = std::size_t{64} << 10;

base::Result<base::Fd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return base::usage_error("not a socket path: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return base::errno_error("cannot create a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    auto error = base::errno_error("cannot connect to " + path);
    error.error().message += kNoGatewayHere;
    return error;
  }
  return socket;
}

// {"error":"…"}: the gateway does not answer.
std::optional<std::string> error_in(const std::string& line) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("error") || !object["error"].is_string()) return std::nullopt;
  return base::shown(object["error"].get<std::string>());
}

}  // namespace

base::Result<ControlStream> ControlStream::open(const std::string& path) {
  SR_LET(chosen, choose_control_socket(path));
  SR_LET(socket, connect_to(*chosen));
  const auto sent = ::send(socket->get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(kQuestion.size())) return base::errno_error("cannot write to " + *chosen);
  return ControlStream(std::move(*socket));
}

std::optional<std::string> ControlStream::line_in_hand() {
  const auto end = received_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return line;
}

base::Result<std::optional<std::string>> ControlStream::next(std::chrono::milliseconds wait) {
  for (;;) {
    if (auto line = line_in_hand()) {
      if (auto error = error_in(*line)) return base::system_error("the gateway refused: " + *error);
      return std::optional(std::move(*line));
    }
    if (received_.size() > kMaxLine) return base::system_error("the gateway sent a line that is too long");
    pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int polled = ::poll(&ready, 1, static_cast<int>(wait.count()));
    if (polled == 0 || (polled < 0 && errno == EINTR)) return std::optional<std::string>{};
    std::array<char, kRead> buffer{};
    const auto count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count == 0) return base::system_error("the gateway has ended");
    if (count < 0 && errno != EINTR) return base::errno_error("cannot read from the gateway");
    if (count > 0) received_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace soleroute::gateway::commands
