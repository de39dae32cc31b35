// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/control_question.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "gateway/commands/control_choice.h"
#include "gateway/commands/probe_socket.h"

namespace soleroute::gateway::commands {
namespace {

base::Result<std::string> exchange(const std::string& path, std::string_view object, std::chrono::milliseconds limit) {
  SR_LET(socket, ProbeSocket::connect_unix(path, limit));
  SR_TRY(socket->send(fmt::format("{}\n", object)));
  auto answer = socket->receive_until([](const std::string& all) { return all.ends_with('\n'); });
  if (answer && !answer->ends_with('\n')) return base::system_error("incomplete answer of control socket " + path);
  return answer;
}

}  // namespace

base::Result<std::string> ask_gateway(const std::string& path, std::string_view question,
                                      std::chrono::milliseconds limit) {
  return ask_gateway_object(path, fmt::format("{{\"ask\":\"{}\"}}", question), limit);
}

base::Result<std::string> ask_gateway_object(const std::string& path, std::string_view object,
                                             std::chrono::milliseconds limit) {
  SR_LET(chosen, choose_control_socket(path));
  auto answer = exchange(*chosen, object, limit);
  if (!answer) answer.error().message += kNoGatewayHere;
  return answer;
}

void add_control_option(CLI::App& command, std::string& path, const std::string& help) {
  command.add_option("--control", path, help)->capture_default_str()->envname("GATEWAY_CONTROL")->type_name("SOCKET");
}

}  // namespace soleroute::gateway::commands
