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
function __gateway_before_dashes
    not contains -- -- (commandline -opc)
end
function __gateway_command
    __gateway_before_dashes; and contains -- $argv[1] (commandline -opc)
end
function __gateway_jailed
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end
complete -c gateway -f
complete -c gateway -n 'contains -- -- (commandline -opc)' -a '(__gateway_jailed)'
)";

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
  }
  return "";
}

std::string condition(const CompletedCommand& command) {
  return command.name.empty() ? "__gateway_before_dashes; and __fish_use_subcommand"
                              : fmt::format("__gateway_command {}", command.name);
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
  if (first.kind != ValueKind::kChoice) return "";
  return fmt::format("complete -c gateway -n '{}' -a '{}'\n", condition(command), fmt::join(first.choices, " "));
}

}  // namespace

std::string fish_completion(const std::vector<CompletedCommand>& program) {
  std::string out(kFishHead);
  for (const auto& command : program) {
    if (!command.name.empty()) {
      out += fmt::format("complete -c gateway -n '{}' -a {} -d {}\n", condition(program.front()), command.name,
                         fish_quoted(command.summary));
    }
    out += options(command);
    if (!command.positionals.empty()) out += positional(command);
  }
  return out;
}

}  // namespace soleroute::gateway::commands
