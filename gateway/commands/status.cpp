// SPDX-License-Identifier: GPL-3.0-or-later
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"
#include "gateway/commands/status_report.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::chrono::milliseconds kAskTimeout{3000};

struct StatusOptions {
  std::string control = serve::kDefaultControlSocket;
  bool json = false;
  bool alive = false;
};

int status(const StatusOptions& options) {
  const auto answer = ask_gateway(options.control, "status", kAskTimeout);
  if (!answer) return report(answer.error());
  const auto described = describe_status(*answer);
  if (!described) return report(described.error());
  std::fputs(options.json ? answer->c_str() : described->text.c_str(), stdout);
  return described->healthy || options.alive ? kExitDone : kExitNo;
}

}  // namespace

void add_status(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<StatusOptions>();
  CLI::App& command =
      add_command(program, invocation, "status",
                  "Ask a running gateway for its health, counters, and rules in the kernel against rules "
                  "intended; exit status 1 if it is not healthy",
                  "gateway status --json", [options] { return status(*options); });
  add_control_option(command, options->control, "control socket of the gateway");
  command.add_flag("--json", options->json, "the gateway's answer as it is, one JSON object");
  command.add_flag("--alive", options->alive, "exit status 0 if it answers, whatever its health: what a restart mends");
}

}  // namespace soleroute::gateway::commands
