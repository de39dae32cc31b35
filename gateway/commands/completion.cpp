// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "gateway/commands/command.h"
#include "gateway/commands/completion_script.h"
#include "gateway/commands/help_format.h"
#include "policy/service_catalog.h"

namespace soleroute::gateway::commands {
namespace {

ValueKind kind_of(const CLI::Option& option, const CompletedArgument& argument) {
  if (option.get_items_expected_max() == 0) return ValueKind::kNone;
  if (!argument.choices.empty()) return ValueKind::kChoice;
  if (argument.placeholder == "FILE" || argument.placeholder == "SOCKET" || argument.placeholder == "PATH") {
    return ValueKind::kFile;
  }
  return argument.placeholder == "DIR" ? ValueKind::kFolder : ValueKind::kText;
}

CompletedArgument argument_of(const CLI::Option& option) {
  CompletedArgument argument;
  for (const auto& name : option.get_snames()) argument.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) argument.names.push_back("--" + name);
  argument.help = option.get_description();
  argument.placeholder = placeholder_of(option);
  argument.choices = choices_of(option);
  argument.kind = kind_of(option, argument);
  argument.repeatable = is_repeatable(option);
  return argument;
}

CompletedCommand command_of(const CLI::App& app, bool is_program) {
  CompletedCommand command;
  command.name = is_program ? "" : app.get_name();
  command.summary = app.get_description();
  command.runs_command = command.name == "run";
  for (const CLI::Option* option : app.get_options()) {
    CompletedArgument argument = argument_of(*option);
    if (!option->get_positional()) {
      command.options.push_back(std::move(argument));
      continue;
    }
    if (command.name == "services") {
      argument.kind = ValueKind::kChoice;
      for (const auto name : policy::service_names()) argument.choices.emplace_back(name);
    }
    if (command.name == "help") {
      argument.kind = ValueKind::kChoice;
      for (const CLI::App* other : app.get_parent()->get_subcommands([](const CLI::App*) { return true; })) {
        argument.choices.push_back(other->get_name());
      }
    }
    command.positionals.push_back(std::move(argument));
  }
  return command;
}

std::string script(const CLI::App& program, const std::string& shell) {
  std::vector<CompletedCommand> commands{command_of(program, true)};
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(command_of(*command, false));
  }
  if (shell == "bash") return bash_completion(commands);
  return shell == "zsh" ? zsh_completion(commands) : fish_completion(commands);
}

}  // namespace

void add_completion(CLI::App& program, Invocation& invocation) {
  auto shell = std::make_shared<std::string>();
  CLI::App& command = add_command(program, invocation, "completion", "print a completion script for a shell",
                                  "eval \"$(gateway completion bash)\"\n"
                                  "  gateway completion fish > ~/.config/fish/completions/gateway.fish",
                                  [&program, shell] {
                                    fmt::print("{}", script(program, *shell));
                                    return kExitDone;
                                  });
  command.add_option("shell", *shell, "shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->type_name("bash|zsh|fish");
}

}  // namespace soleroute::gateway::commands
