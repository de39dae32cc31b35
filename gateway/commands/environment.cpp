// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kPrefix = "GATEWAY_";
constexpr std::string_view kOtherPrefix = "SOLEROUTE_";
// Part of no variable's name: CLI11 finds no value for a name with it, while help still shows the name without it.
constexpr std::string_view kNotReadByLibrary = "[]";

// Variables that make no sense for another command than serving.
constexpr std::array<std::string_view, 8> kServingVariables{"GATEWAY_CLAIM",    "GATEWAY_CLOSE",   "GATEWAY_INSIDE",
                                                            "GATEWAY_LISTEN",   "GATEWAY_METRICS", "GATEWAY_MODE",
                                                            "GATEWAY_NO_RULES", "GATEWAY_TOPOLOGY"};

std::string_view value_of(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

std::string other_name(std::string_view variable) {
  return std::string(kOtherPrefix) + std::string(variable.substr(kPrefix.size()));
}

// The name under which the variable is set; the first one if it is not.
std::string name_in_use(const std::string& variable) {
  if (!variable.starts_with(kPrefix)) return variable;
  const std::string other = other_name(variable);
  return value_of(other).empty() ? variable : other;
}

void read_variables(CLI::App& app, bool chosen) {
  for (CLI::Option* option : app.get_options([](CLI::Option*) { return true; })) {
    const std::string name = option->get_envname();
    if (name.empty() || name.ends_with(kNotReadByLibrary)) continue;
    option->envname(chosen ? name_in_use(name) : name + std::string(kNotReadByLibrary));
  }
}

std::set<std::string, std::less<>> known_variables(const CLI::App& program) {
  std::set<std::string, std::less<>> known;
  const auto add = [&known](const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) known.insert(variable_of(*option));
  };
  add(program);
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) add(*command);
  known.erase("");
  return known;
}

// What Kubernetes puts into the environment for a Service called gateway or gateway-x.
bool is_of_kubernetes(std::string_view name) {
  const auto port = name.find("_PORT_");
  const bool numbered = port != std::string_view::npos && port + 6 < name.size() && base::is_digit(name[port + 6]);
  return numbered || name.ends_with("_PORT") || name.ends_with("_SERVICE_HOST") ||
         name.find("_SERVICE_PORT") != std::string_view::npos;
}

// Empty unless `name` is near to one of `known` and none of them.
std::string misspelt(std::string_view name, const std::set<std::string, std::less<>>& known) {
  const bool ours = name.starts_with(kPrefix) || name.starts_with(kOtherPrefix);
  if (!ours || is_of_kubernetes(name)) return {};
  const std::string_view prefix = name.starts_with(kPrefix) ? kPrefix : kOtherPrefix;
  const std::string_view rest = name.substr(prefix.size());
  if (known.contains(std::string(kPrefix) + std::string(rest))) return {};
  std::vector<std::string_view> names;  // without the prefix, which would make every name near
  for (const std::string_view variable : known) {
    if (variable.starts_with(kPrefix)) names.push_back(variable.substr(kPrefix.size()));
  }
  const std::string_view near = policy::nearest(rest, names);
  if (near.empty()) return {};
  return fmt::format("unknown variable {}, did you mean {}{}?", base::shown(name), prefix, near);
}

bool is_given(const CLI::Option& option, const std::vector<std::string>& arguments) {
  return std::ranges::any_of(arguments, [&option](const std::string& argument) {
    const std::string name = argument.substr(0, argument.find('='));
    const auto same = [&name](std::string_view dashes) {
      return [&name, dashes](const std::string& each) { return name == std::string(dashes) + each; };
    };
    const bool glued =
        argument.size() > 1 && argument[0] == '-' && argument[1] != '-' && option.check_sname(argument.substr(1, 1));
    return glued || std::ranges::any_of(option.get_lnames(), same("--"));
  });
}

}  // namespace

std::string_view variable_value(std::string_view variable) {
  return value_of(name_in_use(std::string(variable)));
}

std::vector<std::string> split_list(std::string_view text) {
  const char separator = text.find('\n') == std::string_view::npos ? ',' : '\n';
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    if (end != 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

std::string variable_of(const CLI::Option& option) {
  std::string name = option.get_envname();
  if (name.ends_with(kNotReadByLibrary)) name.resize(name.size() - kNotReadByLibrary.size());
  if (name.starts_with(kOtherPrefix)) name = std::string(kPrefix) + name.substr(kOtherPrefix.size());
  return name;
}

void set_list_variable(CLI::Option& option, std::string_view variable) {
  option.envname(std::string(variable) + std::string(kNotReadByLibrary));
}

void read_variables_of_only(CLI::App& program, const CLI::App& chosen) {
  read_variables(program, &chosen == &program);
  for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; })) {
    read_variables(*command, command == &chosen);
  }
}

bool serving_variable_is_set() {
  return std::ranges::any_of(kServingVariables, [](std::string_view name) { return !variable_value(name).empty(); });
}

std::string with_variable_name(const CLI::App& command, const std::vector<std::string>& arguments,
                               std::string message) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || is_given(*option, arguments)) continue;
    const std::string name = "--" + option->get_lnames().front();
    const bool about = message.starts_with(name + ":") || message.starts_with(name + " ");
    const std::string variable = variable_of(*option);
    if (!about || variable.empty() || variable_value(variable).empty()) continue;
    if (message[name.size()] == ' ') message[name.size()] = '=';  // "--topology proxy needs …"
    return name_in_use(variable) + message.substr(name.size());
  }
  return message;
}

std::vector<std::string> misspelt_variables(const CLI::App& program) {
  const auto known = known_variables(program);
  std::vector<std::string> warnings;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view assignment = *entry;
    std::string warning = misspelt(assignment.substr(0, assignment.find('=')), known);
    if (!warning.empty()) warnings.push_back(std::move(warning));
  }
  std::ranges::sort(warnings);
  return warnings;
}

}  // namespace soleroute::gateway::commands
