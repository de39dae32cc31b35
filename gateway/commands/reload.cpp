// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"
#include "gateway/commands/reload_report.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::chrono::milliseconds kReadTimeout{30000};  // for the largest policy on a busy machine

int reload(const std::string& control) {
  const auto answer = ask_gateway(control, "reload", kReadTimeout);
  if (!answer) return report(answer.error());
  const auto described = describe_reload(*answer);
  if (!described) return report(described.error());
  if (!described->accepted) {
    report({.message = described->text, .kind = base::ErrorKind::kUsage});
    return kExitNo;
  }
  fmt::print("{}\n", described->text);
  return described->everywhere ? kExitDone : kExitNo;
}

}  // namespace

void add_reload(CLI::App& program, Invocation& invocation) {
  const auto control = std::make_shared<std::string>(serve::kDefaultControlSocket);
  CLI::App& command = add_command(
      program, invocation, "reload",
      "Make a running gateway or guard read its policy again, as SIGHUP does, and say what came of it; exit "
      "status 1 if the policy is wrong: the one from before stays in force",
      "docker compose exec proxy gateway reload\n"
      "  kubectl exec agent -c gateway -- gateway reload",
      [control] { return reload(*control); });
  add_control_option(command, *control, "control socket of the gateway");
}

}  // namespace soleroute::gateway::commands
