// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/standard_error.h"
#include "base/text.h"
#include "gateway/commands/environment.h"
#include "gateway/commands/help_format.h"

namespace soleroute::gateway::commands {
namespace {

std::string_view environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

std::function<std::string(std::string)>& names_in_reports() {
  static std::function<std::string(std::string)> rename;
  return rename;
}

}  // namespace

CLI::App& add_command(CLI::App& program, Invocation& invocation, std::string_view name, std::string_view summary,
                      std::string_view example, std::function<int()> body) {
  CLI::App* command = program.add_subcommand(std::string(name), std::string(summary));
  const bool several = example.substr(0, example.find("\n\n")).find('\n') != std::string_view::npos;
  command->footer(fmt::format("{}:\n  {}", several ? "Examples" : "Example", example));
  add_colour_option(*command);
  command->callback([&invocation, body = std::move(body)] { invocation.body = body; });
  return *command;
}

void add_list_option(CLI::App& command, const std::string& name, const char* variable, std::vector<std::string>& values,
                     const std::string& placeholder, const std::string& help) {
  values = split_list(variable_value(variable));  // replaced by what the command line gives
  CLI::Option* option = command.add_option(name, values, with_note(help, "repeatable"))
                            ->type_name(placeholder)
                            ->expected(1)
                            ->allow_extra_args(false)  // or `--policy FILE URL` would take the URL for a second file
                            ->take_all();
  set_list_variable(*option, variable);
}

base::Result<base::InterfaceAddress> parse_claim(const std::string& text) {
  auto address = base::InterfaceAddress::parse(text);
  if (!address) return base::usage_error("--claim: " + address.error().message);
  if (text.contains('/')) return address;
  return base::usage_error(fmt::format("--claim: {} has no prefix length, as in {}/{}", base::shown(text),
                                       base::shown(text), address->address.is_v4() ? 24 : 64));
}

void add_secrets_option(CLI::App& command, std::string& directory) {
  constexpr std::string_view kScheme = "file:";
  const std::string_view theirs = environment("AGENTBOX_SECRET_SOURCE");
  if (theirs.starts_with("file:/")) directory = theirs.substr(kScheme.size());
  command.add_option("--secrets-dir", directory, "directory of secrets, one per file (keep it out of agents' reach)")
      ->capture_default_str()
      ->envname("GATEWAY_SECRETS_DIR")
      ->type_name("DIR");
}

void add_policy_option(CLI::App& command, std::vector<std::string>& files) {
  add_list_option(command, "-p,--policy", "GATEWAY_POLICY", files, "FILE", "policy file (later files override)");
}

void add_reload_on_change_option(CLI::App& command, bool& reloads) {
  command
      .add_flag("!--no-reload-on-change", reloads,
                "reload the policy only on request, not when a file changes (variable: off)")
      ->envname("GATEWAY_RELOAD_ON_CHANGE");
}

void add_ca_option(CLI::App& command, std::string& directory, const std::string& help) {
  command.add_option("--ca-dir", directory, help)->envname("GATEWAY_CA_DIR")->type_name("DIR");
}

void add_trust_option(CLI::App& command, std::vector<std::string>& files, const std::string& help) {
  add_list_option(command, "--trust", "GATEWAY_TRUST", files, "FILE", help);
}

void add_format_option(CLI::App& command, std::string& format, const std::vector<std::string>& more) {
  std::vector<std::string> names{"text", "json"};
  names.insert(names.end(), more.begin(), more.end());
  const auto known = [names](std::string& name) -> std::string {
    if (name == "human") name = "text";
    if (std::ranges::find(names, name) != names.end()) return {};
    return fmt::format("unknown format '{}': use {}", base::shown(name), fmt::join(names, ", "));
  };
  const std::string help = format.empty() ? "output format (default: text)" : "output format";
  CLI::Option* option = command.add_option("--format", format, help)
                            ->transform(CLI::Validator(known, ""))
                            ->type_name(fmt::format("{}", fmt::join(names, "|")));
  if (!format.empty()) option->capture_default_str();
  command.add_flag_callback("--json", [&format] { format = "json"; }, "same as --format json")->excludes(option);
}

int report(const base::Error& error) {
  std::fflush(stdout);
  const bool colour = use_colour(STDERR_FILENO);
  const std::string message = names_in_reports() ? names_in_reports()(error.message) : error.message;
  base::to_standard_error(
      fmt::format("{}gateway:{} {}\n", colour ? "\x1b[1;31m" : "", colour ? "\x1b[0m" : "", message));
  return error.kind == base::ErrorKind::kUsage ? kExitUsage : kExitSystem;
}

void warn(std::string_view message) {
  std::fflush(stdout);
  const bool colour = use_colour(STDERR_FILENO);
  base::to_standard_error(
      fmt::format("{}gateway: warning:{} {}\n", colour ? "\x1b[1;33m" : "", colour ? "\x1b[0m" : "", message));
}

QuietOutput::QuietOutput() {
  std::fflush(stdout);
  output_ = base::Fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  const base::Fd nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (nothing) ::dup2(nothing.get(), STDOUT_FILENO);
}

QuietOutput::~QuietOutput() {
  std::fflush(stdout);
  if (output_) ::dup2(output_.get(), STDOUT_FILENO);
}

NamesInReports::NamesInReports(std::function<std::string(std::string)> rename) {
  names_in_reports() = std::move(rename);
}

NamesInReports::~NamesInReports() {
  names_in_reports() = nullptr;
}

}  // namespace soleroute::gateway::commands
