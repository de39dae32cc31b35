// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "gateway/commands/completion_script.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kFishHead = R"(# fish completion of gateway. Made by: gateway completion fish
function __gateway_command
    not __gateway_jailed_at > /dev/null; and contains -- $argv[1] (commandline -opc)
end
function __gateway_jailed
    set -l words (commandline -opc)
    set -l at (__gateway_jailed_at; or math (count $words) + 1)
    complete -C (string join ' ' -- (string escape -- $words[$at..]) (commandline -ct))
end
complete -c gateway -f
complete -c gateway -n '__gateway_jailed_at > /dev/null' -a '(__gateway_jailed)'
)";

// Where in the words before the cursor a jailed command begins, if it does.
std::string jailed_at(const std::vector<CompletedCommand>& program) {
  std::string cases;
  for (const auto& command : program) {
    if (!command.runs_command) continue;
    cases += fmt::format(
        "    test \"$words[2]\" = {}; or return 1\n"
        "    set -l at 3\n"
        "    while test $at -le (count $words)\n"
        "        switch $words[$at]\n"
        "            case --\n"
        "                math $at + 1\n"
        "                return 0\n"
        "            case {}\n"
        "                set at (math $at + 2)\n"
        "            case '-*'\n"
        "                set at (math $at + 1)\n"
        "            case '*'\n"
        "                echo $at\n"
        "                return 0\n"
        "        end\n"
        "    end\n",
        command.name, fmt::join(names_with_value(command.options), " "));
  }
  return "function __gateway_jailed_at\n    set -l words (commandline -opc)\n" + cases + "    return 1\nend\n";
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_value(const CompletedArgument& argument) {
  switch (argument.kind) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kText:
      return " -x";
    case ValueKind::kFile:
      return " -r -F";
    case ValueKind::kFolder:
      return " -x -a '(__fish_complete_directories)'";
    case ValueKind::kChoice:
      return fmt::format(" -x -a '{}'", fmt::join(argument.choices, " "));
    case ValueKind::kHost:
      return fmt::format(" -x -a '(gateway {})'", kPrintHosts);
  }
  return "";
}

std::string condition(const CompletedCommand& command) {
  return command.name.empty() ? "__fish_use_subcommand" : fmt::format("__gateway_command {}", command.name);
}

std::string options(const CompletedCommand& command) {
  std::string out;
  for (const auto& option : command.options) {
    std::string names;
    for (const std::string_view name : option.names) {
      names += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
    }
    out += fmt::format("complete -c gateway -n '{}'{}{} -d {}\n", condition(command), names, fish_value(option),
                       fish_quoted(option.help));
  }
  return out;
}

// fish asks for files and folders in general with -F alone.
std::string positional(const CompletedCommand& command) {
  const auto& first = command.positionals.front();
  const bool paths = first.kind == ValueKind::kFile || first.kind == ValueKind::kFolder;
  if (paths) return fmt::format("complete -c gateway -n '{}' -F\n", condition(command));
  if (first.kind == ValueKind::kHost) {
    return fmt::format("complete -c gateway -n '{}' -a '(gateway {})'\n", condition(command), kPrintHosts);
  }
  if (first.kind != ValueKind::kChoice) return "";
  return fmt::format("complete -c gateway -n '{}' -a '{}'\n", condition(command), fmt::join(first.choices, " "));
}

}  // namespace

std::string fish_completion(const std::vector<CompletedCommand>& program) {
  std::string out(kFishHead);
  out += jailed_at(program);
  for (const auto& command : program) {
    if (!command.name.empty()) {
      out += fmt::format("complete -c gateway -n '{}' -a {} -d {}\n", condition(program.front()), command.name,
                         fish_quoted(command.summary));
    }
    out += options(command);
    if (!command.positionals.empty()) out += positional(command);
    if (command.runs_command) {
      out += fmt::format("complete -c gateway -n '{}' -a '(__gateway_jailed)'\n", condition(command));
    }
  }
  return out;
}

}  // namespace soleroute::gateway::commands
