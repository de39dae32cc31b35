// What a shell can complete of a command line, as values, and the scripts for bash, zsh and fish that say so.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

namespace soleroute::gateway::commands {

// kHost: a host of the policy that is found where the shell is; the program is asked for them.
enum class ValueKind { kNone, kText, kFile, kFolder, kChoice, kHost };

// An option, or a positional argument, whose `names` are empty.
struct CompletedArgument {
  std::vector<std::string> names;  // "--policy", "-h"
  std::string help;                // one sentence
  std::string placeholder;         // "FILE"
  ValueKind kind = ValueKind::kNone;
  std::vector<std::string> choices;  // of kChoice
  bool repeatable = false;
};

// What prints the hosts of kHost.
inline constexpr const char* kPrintHosts = "completion hosts 2> /dev/null";

// The names of the options that take a value in the next word.
std::vector<std::string> names_with_value(const std::vector<CompletedArgument>& options);

// The first of a program is the program itself, without a name: what can stand before or in place of a command.
struct CompletedCommand {
  std::string name;
  std::string summary;
  std::vector<CompletedArgument> options;
  std::vector<CompletedArgument> positionals;
  bool runs_command = false;  // its first word that is no option, or the one after `--`, begins a command line
};

std::string bash_completion(const std::vector<CompletedCommand>& program);
std::string zsh_completion(const std::vector<CompletedCommand>& program);
std::string fish_completion(const std::vector<CompletedCommand>& program);

}  // namespace soleroute::gateway::commands
