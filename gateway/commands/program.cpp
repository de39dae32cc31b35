// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/environment.h"
#include "gateway/commands/help_format.h"
#include "gateway/commands/version.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

constexpr const char* kSummary = "Restricts the network of AI agents to the hosts that a policy allows.";

constexpr const char* kFooter =
    "Examples:\n"
    "  gateway run --policy policy.yaml -- npm install\n"
    "  gateway explain --policy policy.yaml https://api.github.com/meta\n"
    "  gateway serve --policy policy.yaml --claim 10.77.0.1/24";

constexpr const char* kCannotWrite = "cannot write to standard output";

struct Group {
  const char* title;
  std::vector<void (*)(CLI::App&, Invocation&)> commands;
};

void add_group(CLI::App& program, Invocation& invocation, const Group& group) {
  for (const auto add : group.commands) {
    add(program, invocation);
    program.get_subcommands([](const CLI::App*) { return true; }).back()->group(group.title);
  }
}

void add_commands(CLI::App& program, Invocation& invocation) {
  const Group groups[] = {
      {"Run", {add_run}},
      {"Policy",
       {add_init, add_check, add_explain, add_test, add_diff, add_suggest, add_unused, add_import, add_services,
        add_schema}},
      {"Serve",
       {add_serve, add_status, add_reload, add_allow, add_deny, add_forget, add_allowed, add_guard, add_unguard,
        add_pause, add_watch}},
      {"Operate", {add_doctor, add_verify, add_ca, add_agents, add_completion, add_help, add_version}},
  };
  for (const Group& group : groups) add_group(program, invocation, group);
  // Of these, a script may want the exit status alone.
  for (const char* name : {"status", "verify", "doctor"}) {
    program.get_subcommand(name)->add_flag("-q,--quiet", invocation.quiet, "print no results, only errors");
  }
  for (CLI::Option* option : program.get_options([](CLI::Option*) { return true; })) {
    const bool own = option->check_lname("help") || option->check_lname("version");
    if (!own) option->group(kUnshownGroup);  // those of serving are on its own page
  }
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

// The command that the arguments name, before they are parsed.
const CLI::App& named_command(const CLI::App& program, const std::vector<std::string>& arguments) {
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    if (!arguments.empty() && command->get_name() == arguments.front()) return *command;
  }
  return program;  // NOLINT(bugprone-return-const-ref-from-parameter): the caller's program outlives it
}

int usage_problem(const CLI::App& program, const std::string& message) {
  const CLI::App& command = innermost(program);
  // Options without a command are those of serving.
  const std::string_view without_command = message.starts_with("unknown command") ? "" : " serve";
  const std::string name = &command == &program ? std::string(without_command) : " " + command.get_name();
  return report({.message = fmt::format("{}\nTry 'gateway{} --help'.", message, name),
                 .kind = base::ErrorKind::kUsage,
                 .sys_errno = 0});
}

// What was given before the command, as an example of where it belongs.
std::vector<std::string> options_of(const std::vector<std::string>& given, const CLI::App& command) {
  std::vector<std::string> options;
  for (const std::string& argument : given) {
    if (argument == command.get_name()) break;
    options.push_back(base::shown(argument));
  }
  return options;
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
    return report(base::Error{fmt::format("system error: {}", error.what()), base::ErrorKind::kSystem, 0});
  }
}

// CLI11's words for a value that does not fit, in ours.
std::string parse_problem(const CLI::App& command, const std::vector<std::string>& given, std::string message) {
  constexpr std::string_view kTheirs = "Could not convert: ";
  if (const auto equals = message.find(" = "); message.starts_with(kTheirs) && equals != std::string::npos) {
    message = fmt::format("{}: invalid value '{}'", message.substr(kTheirs.size(), equals - kTheirs.size()),
                          base::shown(message.substr(equals + 3)));
  }
  return with_variable_name(command, given, std::move(message));
}

bool reads_variables_closely(const CLI::App& command) {
  const std::string& name = command.get_name();
  return command.get_parent() == nullptr || name == "serve" || name == "run" || name == "guard";
}

int run_parsed(const CLI::App& program, Invocation& invocation, const std::vector<std::string>& given) {
  const CLI::App& command = innermost(program);
  if (options_before_command(program, given)) {
    return usage_problem(
        program, fmt::format("put options after the command: gateway {} {}{}", command.get_name(),
                             fmt::join(options_of(given, command), " "), command.get_name() == "run" ? " -- CMD" : ""));
  }
  if (invocation.had_dashes && command.get_name() != "run") {
    return usage_problem(program, "only 'gateway run' accepts a command after '--'");
  }
  if (!invocation.body) invocation.body = invocation.serve;
  if (reads_variables_closely(command)) {
    for (const std::string& warning : misspelt_variables(program)) warn(warning);
  }
  const NamesInReports names(
      [&](std::string message) { return with_variable_name(command, given, std::move(message)); });
  std::optional<QuietOutput> quiet;
  if (invocation.quiet) quiet.emplace();
  return run_body(invocation);
}

int parse_and_run(CLI::App& program, Invocation& invocation, std::vector<std::string> arguments) {
  const std::vector<std::string> given = arguments;
  if (given.empty() && !invocation.had_dashes && !serving_variable_is_set()) {
    fmt::print("{}", overview(program));
    return run_body({.body = [] { return kExitDone; }});
  }
  const CLI::App& command = named_command(program, given);
  read_variables_of_only(program, command);
  std::ranges::reverse(arguments);  // CLI11 takes them from the back
  try {
    program.parse(std::move(arguments));
  } catch (const CLI::ExtrasError&) {
    return usage_problem(program, unexpected_argument(program));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    return usage_problem(program, parse_problem(command, given, error.what()));
  }
  return run_parsed(program, invocation, given);
}

}  // namespace

int run_program(int argc, char** argv) {
  Invocation invocation;
  CLI::App program(kSummary, "gateway");
  program.formatter(make_help_formatter());
  program.footer(kFooter);
  program.set_help_flag("-h,--help", "show this help");
  program.set_version_flag("-V,--version", fmt::format("gateway {}", version_and_commit()), "show the version");
  program.require_subcommand(0, 1);
  add_commands(program, invocation);
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  return parse_and_run(program, invocation,
                       split_off_command(program, arguments.subspan(argc > 0 ? 1 : 0), invocation));
}

}  // namespace soleroute::gateway::commands
