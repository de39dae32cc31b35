// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/commands/command.h"
#include "gateway/commands/completion_script.h"
#include "policy/service_catalog.h"

namespace soleroute::gateway::commands {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// "a|b", or "TEXT:{a,b}" as CLI11 puts it; in capitals it is a kind of value, as in "PORT|off".
std::vector<std::string> choices_of(const std::string& type) {
  if (const auto open = type.find('{'), close = type.find('}'); open < close && close != std::string::npos) {
    return split(std::string_view(type).substr(open + 1, close - open - 1), ',');
  }
  const bool fixed =
      type.find('|') != std::string::npos && std::ranges::none_of(type, [](char c) { return c >= 'A' && c <= 'Z'; });
  return fixed ? split(type, '|') : std::vector<std::string>{};
}

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
  argument.placeholder = option.get_type_name();
  argument.choices = choices_of(argument.placeholder);
  argument.kind = kind_of(option, argument);
  argument.repeatable =
      option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll || option.get_items_expected_max() > 1;
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
  CLI::App& command = add_command(program, invocation, "completion",
                                  "Print the script by which a shell completes this program's command lines",
                                  "eval \"$(gateway completion bash)\"", [&program, shell] {
                                    fmt::print("{}", script(program, *shell));
                                    return kExitDone;
                                  });
  command.add_option("shell", *shell, "the shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->type_name("bash|zsh|fish");
}

}  // namespace soleroute::gateway::commands
