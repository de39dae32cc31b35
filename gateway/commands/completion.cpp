// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "gateway/commands/command.h"
#include "gateway/commands/completion_script.h"
#include "gateway/commands/help_format.h"
#include "gateway/host/policy_files.h"
#include "gateway/project/agent_catalog.h"
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

// What the option's table does not say: names that are known to the program.
void add_known_values(const CLI::App& app, CompletedArgument& argument) {
  const std::string& command = app.get_name();
  const bool positional = argument.names.empty();
  const auto is = [&argument](std::string_view name) {
    return std::ranges::find(argument.names, name) != argument.names.end();
  };
  if ((positional && command == "explain") || (command == "verify" && is("--allowed")))
    argument.kind = ValueKind::kHost;
  if ((positional && command == "services") || is("--allow")) {
    argument.kind = ValueKind::kChoice;
    for (const auto name : policy::service_names()) argument.choices.emplace_back(name);
  }
  if (positional && command == "agents") {
    argument.kind = ValueKind::kChoice;
    for (const auto name : project::agent_names()) argument.choices.emplace_back(name);
  }
  if (positional && command == "help") {
    argument.kind = ValueKind::kChoice;
    for (const CLI::App* other : app.get_parent()->get_subcommands([](const CLI::App*) { return true; })) {
      argument.choices.push_back(other->get_name());
    }
  }
}

CompletedCommand command_of(const CLI::App& app, bool is_program) {
  CompletedCommand command;
  command.name = is_program ? "" : app.get_name();
  command.summary = app.get_description();
  command.runs_command = command.name == "run";
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() == kUnshownGroup && !is_program) continue;
    CompletedArgument argument = argument_of(*option);
    add_known_values(app, argument);
    (option->get_positional() ? command.positionals : command.options).push_back(std::move(argument));
  }
  return command;
}

// The hosts of the policy that other commands would find here. Only what no shell gives a meaning to.
int print_hosts() {
  const auto file = host::find_default_policy("");
  if (!file) return kExitDone;
  const auto policy = host::load_policy(std::vector<std::string>{*file});
  if (!policy) return kExitDone;
  for (std::string_view name : (*policy)->host_patterns()) {
    if (name.starts_with("*.")) name.remove_prefix(2);
    const bool plain =
        std::ranges::all_of(name, [](char c) { return base::is_alphanumeric(c) || c == '.' || c == '-'; });
    if (plain) fmt::print("{}\n", name);
  }
  return kExitDone;
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

std::vector<std::string> names_with_value(const std::vector<CompletedArgument>& options) {
  std::vector<std::string> names;
  for (const auto& option : options) {
    if (option.kind != ValueKind::kNone) names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

void add_completion(CLI::App& program, Invocation& invocation) {
  auto shell = std::make_shared<std::string>();
  CLI::App& command = add_command(program, invocation, "completion", "print a completion script for a shell",
                                  "eval \"$(gateway completion bash)\"\n"
                                  "  gateway completion fish > ~/.config/fish/completions/gateway.fish",
                                  [&program, shell] {
                                    if (*shell == "hosts") return print_hosts();  // for the scripts
                                    fmt::print("{}", script(program, *shell));
                                    return kExitDone;
                                  });
  command.add_option("shell", *shell, "shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish", "hosts"}).description(""))
      ->type_name("bash|zsh|fish");
}

}  // namespace soleroute::gateway::commands
