// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "gateway/commands/completion_script.h"

namespace soleroute::gateway::commands {
namespace {

// What follows `--` is completed as a command line of its own.
constexpr std::string_view kZshJailed = R"(
      local -i dashes=${words[(i)--]}
      if (( dashes < CURRENT )); then
        shift dashes words
        (( CURRENT -= dashes ))
        _normal
        return
      fi
     )";

std::string escaped(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += R"('\'')";
      continue;
    }
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_value(const CompletedArgument& argument) {
  const std::string message = escaped(argument.placeholder.empty() ? " " : argument.placeholder, "\\:[]");
  switch (argument.kind) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kText:
      return fmt::format(":{}: ", message);
    case ValueKind::kFile:
      return fmt::format(":{}:_files", message);
    case ValueKind::kFolder:
      return fmt::format(":{}:_files -/", message);
    case ValueKind::kChoice:
      return fmt::format(":{}:({})", message, fmt::join(argument.choices, " "));
    case ValueKind::kHost:
      return fmt::format(":{}:_gateway_hosts", message);
  }
  return "";
}

// One specification of _arguments for each name of each option, and one for each positional argument.
std::string arguments(const CompletedCommand& command) {
  std::string out;
  for (const auto& option : command.options) {
    for (const auto& name : option.names) {
      const bool separate = option.kind == ValueKind::kNone || name.starts_with("--");
      out += fmt::format(" \\\n      '{}{}{}[{}]{}'", option.repeatable ? "*" : "", name,
                         separate && option.kind != ValueKind::kNone ? "=" : "", escaped(option.help, "\\[]:"),
                         zsh_value(option));
    }
  }
  for (const auto& positional : command.positionals) {
    out += fmt::format(" \\\n      '{}{}'", positional.repeatable ? "*" : "", zsh_value(positional));
  }
  // A command line of its own, which begins with its first word that is no option.
  if (command.runs_command) out += " \\\n      '(-)1: :_command_names -e' \\\n      '*:: : _normal'";
  return out;
}

}  // namespace

std::string zsh_completion(const std::vector<CompletedCommand>& program) {
  std::string commands;
  std::string cases;
  std::string own;
  for (const auto& command : program) {
    if (command.name.empty()) {
      own = arguments(command);
      continue;
    }
    commands += fmt::format("    '{}:{}'\n", command.name, escaped(command.summary, "\\:"));
    cases += fmt::format("    {}){} _arguments -s -S{} ;;\n", command.name, command.runs_command ? kZshJailed : "",
                         arguments(command));
  }
  return fmt::format(
      "#compdef gateway\n"
      "# zsh completion of gateway. Made by: gateway completion zsh\n"
      "_gateway_hosts() {{ compadd -- ${{(f)\"$(gateway {})\"}} }}\n"
      "_gateway() {{\n"
      "  local curcontext=$curcontext state state_descr line\n"
      "  typeset -A opt_args\n"
      "  local -a own_commands=(\n{}  )\n"  // `commands` is zsh's own
      "  _arguments -s -S -C{} \\\n"
      "      '(-)1: :->command' \\\n"
      "      '(-)*:: :->arguments' && return\n"
      "  if [[ $state == command ]]; then\n"
      "    _describe -t commands command own_commands\n"
      "    return\n"
      "  fi\n"
      "  curcontext=${{curcontext%:*}}:gateway-$words[1]:\n"
      "  case $words[1] in\n{}  esac\n"
      "}}\n"
      "if [[ ${{zsh_eval_context[-1]}} == loadautofunc ]]; then _gateway \"$@\"; else compdef _gateway gateway; fi\n",
      kPrintHosts, commands, own, cases);
}

}  // namespace soleroute::gateway::commands
