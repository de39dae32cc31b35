// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "gateway/commands/completion_script.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kBashHead = R"bash(_gateway_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_gateway_files() { compopt -o default 2> /dev/null; }
_gateway_hosts() { _gateway_words "$("${COMP_WORDS[0]}" completion hosts 2> /dev/null)"; }
_gateway_folders() { compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); }
_gateway() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' i
  COMPREPLY=()
  if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
)bash";

// A command line of its own begins at a word: bash-completion completes it, if it is loaded.
constexpr std::string_view kBashJailed = R"(_gateway_jailed() {
  if declare -F _command_offset > /dev/null; then _command_offset "$1"; return; fi
  if ((COMP_CWORD == $1)); then mapfile -t COMPREPLY < <(compgen -c -- "$cur"); else _gateway_files; fi
}
)";

std::string action(const CompletedArgument& argument) {
  switch (argument.kind) {
    case ValueKind::kFile:
      return "_gateway_files";
    case ValueKind::kFolder:
      return "_gateway_folders";
    case ValueKind::kChoice:
      return fmt::format("_gateway_words '{}'", fmt::join(argument.choices, " "));
    case ValueKind::kHost:
      return "_gateway_hosts";
    case ValueKind::kNone:
    case ValueKind::kText:
      break;
  }
  return ":";
}

std::string names_of(const std::vector<CompletedCommand>& program, std::string_view separator) {
  std::vector<std::string_view> names;
  for (const auto& command : program) {
    if (!command.name.empty()) names.push_back(command.name);
  }
  return fmt::format("{}", fmt::join(names, separator));
}

std::string values(const CompletedCommand& command) {
  std::string out;
  for (const auto& option : command.options) {
    if (option.kind == ValueKind::kNone) continue;
    for (const auto& name : option.names) {
      out += fmt::format("    {}:{}) {}; return ;;\n", command.name, name, action(option));
    }
  }
  return out;
}

std::string words(const CompletedCommand& command, const std::string& commands) {
  std::vector<std::string> options;
  for (const auto& option : command.options) options.insert(options.end(), option.names.begin(), option.names.end());
  std::string out = fmt::format("    {}:-*) _gateway_words '{}' ;;\n", command.name, fmt::join(options, " "));
  if (command.name.empty()) out += fmt::format("    :*) _gateway_words '{}' ;;\n", commands);
  if (command.runs_command) out += fmt::format("    {}:*) _gateway_jailed $COMP_CWORD ;;\n", command.name);
  if (!command.positionals.empty()) {
    out += fmt::format("    {}:*) {} ;;\n", command.name, action(command.positionals.front()));
  }
  return out;
}

// The words before the one that is typed: which is the command, and where does a jailed command begin?
std::string words_before(const std::vector<CompletedCommand>& program) {
  std::string out = "    [[ ${COMP_WORDS[i]} == '--' ]] && { _gateway_jailed $((i + 1)); return; }\n";
  for (const auto& command : program) {
    if (!command.runs_command) continue;
    out += fmt::format(
        "    if [[ $command == {} ]]; then\n"
        "      case ${{COMP_WORDS[i]}} in\n"
        "        {}) ((i += 1)); [[ ${{COMP_WORDS[i]}} == '=' ]] && ((i += 1)) ;;\n"
        "        -*) ;;\n"
        "        *) _gateway_jailed $i; return ;;\n"
        "      esac\n"
        "    fi\n",
        command.name, fmt::join(names_with_value(command.options), " | "));
  }
  out += fmt::format("    case ${{COMP_WORDS[i]}} in {}) : \"${{command:=${{COMP_WORDS[i]}}}}\" ;; esac\n",
                     names_of(program, " | "));
  return out + "  done\n";
}

}  // namespace

std::string bash_completion(const std::vector<CompletedCommand>& program) {
  std::string out = "# bash completion of gateway. Made by: gateway completion bash\n";
  out += kBashJailed;
  out += kBashHead;
  out += words_before(program);
  out += "  case $command:$prev in\n";
  for (const auto& command : program) out += values(command);
  out += "  esac\n  case $command:$cur in\n";
  for (const auto& command : program) out += words(command, names_of(program, " "));
  out += "  esac\n}\ncomplete -F _gateway gateway\n";
  return out;
}

}  // namespace soleroute::gateway::commands
