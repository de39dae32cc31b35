// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/version.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

constexpr const char* kSummary =
    "The sole route out of an AI agent's container: answers DNS, reads the name that each connection asks for, "
    "forwards "
    "what the policy allows and refuses everything else.\nWithout a command it serves.";

constexpr const char* kFooter =
    "Examples:\n"
    "  gateway run --policy policy.yaml -- npm install\n"
    "  gateway --policy policy.yaml --claim 10.77.0.1/24\n"
    "  gateway --policy policy.yaml --dry-run | nft -c -f -\n\n"
    "Exit status: 0 done, 1 the answer is no, 2 usage or policy error, 3 the system cannot.\n"
    "Every option can also be given as the environment variable named with it.";

constexpr const char* kCannotWrite = "cannot write to standard output";

void add_commands(CLI::App& program, Invocation& invocation) {
  add_serve(program, invocation);
  add_run(program, invocation);
  add_check(program, invocation);
  add_explain(program, invocation);
  add_test(program, invocation);
  add_verify(program, invocation);
  add_services(program, invocation);
  add_status(program, invocation);
  add_reload(program, invocation);
  add_guard(program, invocation);
  add_unguard(program, invocation);
  add_pause(program, invocation);
  add_doctor(program, invocation);
  add_agents(program, invocation);
  add_init(program, invocation);
  add_watch(program, invocation);
  add_suggest(program, invocation);
  add_ca(program, invocation);
  add_completion(program, invocation);
}

bool takes_value(const CLI::App& command, const std::string& argument) {
  const CLI::Option* option = command.get_option_no_throw(argument);  // null for "--name=value"
  return option != nullptr && option->get_items_expected_min() > 0;
}

using Arguments = std::vector<std::string>;

// As in env and sudo: the first argument of `gateway run` that is neither an option nor an option's value.
Arguments::const_iterator find_jailed_command(const CLI::App& program, const Arguments& all) {
  const auto run = program.get_subcommands([](const CLI::App* command) { return command->get_name() == "run"; });
  if (run.empty() || all.empty() || all.front() != run.front()->get_name()) return all.end();
  auto next = all.begin() + 1;
  while (next != all.end() && next->size() > 1 && next->front() == '-' && *next != "--") {
    next += takes_value(*run.front(), *next) && next + 1 != all.end() ? 2 : 1;
  }
  return next;
}

// The jailed command's arguments never reach CLI11, which would take "[a]" or "{}" in them for a list.
Arguments split_off_command(const CLI::App& program, std::span<char*> arguments, Invocation& invocation) {
  const Arguments all(arguments.begin(), arguments.end());
  const auto command = find_jailed_command(program, all);
  const auto end = command != all.end() ? command : std::ranges::find(all, "--");
  invocation.had_dashes = end != all.end() && *end == "--";
  if (end != all.end()) invocation.jailed_command.assign(end + (invocation.had_dashes ? 1 : 0), all.end());
  return {all.begin(), end};
}

const CLI::App& innermost(const CLI::App& program) {
  const auto chosen = program.get_subcommands();
  return chosen.empty() ? program : *chosen.front();
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string suggestion(std::string_view text, const std::vector<std::string>& names) {
  return policy::did_you_mean(text, {names.begin(), names.end()});
}

// What was not understood, and the likely spelling.
std::string unexpected_argument(const CLI::App& program) {
  const CLI::App& command = innermost(program);
  const auto extras = program.remaining(true);
  const std::string extra = extras.empty() ? std::string{} : extras.front();
  if (extra.starts_with("-")) {
    const std::string name = extra.substr(0, extra.find('='));
    return fmt::format("unknown option '{}'{}", base::shown(name), suggestion(name, option_names(command)));
  }
  if (&command == &program) {
    return fmt::format("unknown command '{}'{}", base::shown(extra), suggestion(extra, command_names(program)));
  }
  return fmt::format("unexpected argument '{}'", base::shown(extra));
}

int usage_problem(const CLI::App& program, const std::string& message) {
  const CLI::App& command = innermost(program);
  const std::string name = &command == &program ? "" : " " + command.get_name();
  return report({.message = fmt::format("{}\nTry 'gateway{} --help'.", message, name),
                 .kind = base::ErrorKind::kUsage,
                 .sys_errno = 0});
}

// "gateway --workers 2 explain …": the options before a command would have no effect, and nobody would notice.
bool options_before_command(const CLI::App& program, const std::vector<std::string>& arguments) {
  const auto chosen = program.get_subcommands();
  return !chosen.empty() && arguments.front() != chosen.front()->get_name();
}

// Libraries throw where the system gives no thread, descriptor or memory; nothing else gets this far.
int run_body(const Invocation& invocation) {
  try {
    const int status = invocation.body();
    const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.flush().good();
    return written ? status : report(base::system_error(kCannotWrite).error());
  } catch (const std::exception& error) {
    if (std::ferror(stdout) != 0) return report(base::system_error(kCannotWrite).error());  // more than fits its buffer
    return report(base::Error{fmt::format("the system cannot: {}", error.what()), base::ErrorKind::kSystem, 0});
  }
}

int parse_and_run(CLI::App& program, Invocation& invocation, std::vector<std::string> arguments) {
  const std::vector<std::string> given = arguments;
  std::ranges::reverse(arguments);  // CLI11 takes them from the back
  try {
    program.parse(std::move(arguments));
  } catch (const CLI::ExtrasError&) {
    return usage_problem(program, unexpected_argument(program));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    return usage_problem(program, error.what());
  }
  if (options_before_command(program, given)) {
    return usage_problem(program, fmt::format("options of '{}' belong behind it", innermost(program).get_name()));
  }
  if (invocation.had_dashes && innermost(program).get_name() != "run") {
    return usage_problem(program, "only 'gateway run' takes a command behind '--'");
  }
  return run_body(invocation);
}

}  // namespace

int run_program(int argc, char** argv) {
  Invocation invocation;
  CLI::App program(kSummary, "gateway");
  program.footer(kFooter);
  program.set_version_flag("--version", fmt::format("gateway {}", version_and_commit()));
  program.get_formatter()->column_width(34);
  program.require_subcommand(0, 1);
  add_commands(program, invocation);
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  return parse_and_run(program, invocation,
                       split_off_command(program, arguments.subspan(argc > 0 ? 1 : 0), invocation));
}

}  // namespace soleroute::gateway::commands
