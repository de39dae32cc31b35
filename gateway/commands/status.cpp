// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "gateway/commands/command.h"
#include "gateway/commands/probe_socket.h"
#include "gateway/commands/status_report.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::chrono::milliseconds kAskTimeout{3000};

struct Options {
  std::string control = serve::kDefaultControlSocket;
  bool json = false;
};

base::Result<std::string> ask(const std::string& path) {
  const auto socket = ProbeSocket::connect_unix(path, kAskTimeout);
  if (!socket) return std::unexpected(socket.error());
  if (auto sent = socket->send("{\"ask\":\"status\"}\n"); !sent) return std::unexpected(sent.error());
  auto answer = socket->receive_until([](const std::string& all) { return all.ends_with('\n'); });
  if (answer && !answer->ends_with('\n')) return base::system_error("the answer of " + path + " was cut short");
  return answer;
}

int status(const Options& options) {
  const auto answer = ask(options.control);
  if (!answer) {
    base::Error error = answer.error();
    error.message += "\nIs a gateway running here? Its socket is named with --control; asking needs its user's rights.";
    return report(error);
  }
  const auto described = describe_status(*answer);
  if (!described) return report(described.error());
  std::fputs(options.json ? answer->c_str() : described->text.c_str(), stdout);
  return described->healthy ? kExitDone : kExitNo;
}

}  // namespace

void add_status(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(program, invocation, "status",
                  "Ask a running gateway for its health, counters, and rules in the kernel against rules "
                  "intended; exit status 1 if it is not healthy",
                  "gateway status --json", [options] { return status(*options); });
  command.add_option("--control", options->control, "control socket of the gateway")
      ->capture_default_str()
      ->envname("GATEWAY_CONTROL")
      ->type_name("SOCKET");
  command.add_flag("--json", options->json, "the gateway's answer as it is, one JSON object");
}

}  // namespace soleroute::gateway::commands
