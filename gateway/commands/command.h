// How a subcommand is added to the program: each has one file that declares its options and its body.
// Single-threaded: parsing happens before anything else runs.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/commands/colour.h"
#include "gateway/serve/options.h"

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

// Exit statuses of every command. A jailed command's own exit status passes through instead.
inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitSystem = 3;

// One run of the program, filled in by parsing.
struct Invocation {
  std::vector<std::string> jailed_command{};  // of `gateway run`: the program and its arguments, untouched
  bool had_dashes = false;
  std::function<int()> body{};   // set by the callback of the command that was named; returns the exit code
  std::function<int()> serve{};  // what the program does without a command
  bool quiet = false;            // print no results, only errors
};

// Adds `name` with its summary and a footer that shows `example` in --help. Body: what the chosen subcommand does.
//   struct Options { std::vector<std::string> policy; };
//   auto options = std::make_shared<Options>();
//   CLI::App& command = add_command(program, invocation, "check", "…", "gateway check --policy policy.yaml",
//                                   [options] { return check(*options); });
//   add_policy_option(command, options->policy);
CLI::App& add_command(CLI::App& program, Invocation& invocation, std::string_view name, std::string_view summary,
                      std::string_view example, std::function<int()> body);

// An option that may be given several times; the environment variable holds the same, separated by commas, or by line
// breaks where it has one.
void add_list_option(CLI::App& command, const std::string& name, const char* variable, std::vector<std::string>& values,
                     const std::string& placeholder, const std::string& help);
// A value of --claim: an address of a subnet, with its prefix length.
[[nodiscard]] base::Result<base::InterfaceAddress> parse_claim(const std::string& text);
// -p, --policy FILE (repeatable), GATEWAY_POLICY.
void add_policy_option(CLI::App& command, std::vector<std::string>& files);
// --no-reload-on-change, GATEWAY_RELOAD_ON_CHANGE=off.
void add_reload_on_change_option(CLI::App& command, bool& reloads);
// --ca-dir DIR, GATEWAY_CA_DIR.
void add_ca_option(CLI::App& command, std::string& directory, const std::string& help);
// --trust FILE (repeatable), GATEWAY_TRUST.
void add_trust_option(CLI::App& command, std::vector<std::string>& files, const std::string& help);

// --secrets-dir, or GATEWAY_SECRETS_DIR, or agent-sandbox's AGENTBOX_SECRET_SOURCE=file:DIR.
void add_secrets_option(CLI::App& command, std::string& directory);

// --format NAME, one of text, json and `more`, and --json for `--format json`. `human` is an old name of text.
// `format` holds the default; empty is a default of the command's own.
void add_format_option(CLI::App& command, std::string& format, const std::vector<std::string>& more = {});

// "gateway: <message>" on stderr; returns the exit code of the error's kind.
int report(const base::Error& error);
// "gateway: warning: <message>" on stderr.
void warn(std::string_view message);

// Until its end, what is written to standard output is dropped.
class QuietOutput {
 public:
  QuietOutput();
  ~QuietOutput();
  QuietOutput(const QuietOutput&) = delete;
  QuietOutput& operator=(const QuietOutput&) = delete;

 private:
  base::Fd output_;
};

// As long as it lives, what `report` says passes through it: an option's name becomes that of the variable that set it.
class NamesInReports {
 public:
  explicit NamesInReports(std::function<std::string(std::string)> rename);
  ~NamesInReports();
  NamesInReports(const NamesInReports&) = delete;
  NamesInReports& operator=(const NamesInReports&) = delete;
};

// One per file of this folder. The subcommand `test` lives in test_policy.cpp.
void add_run(CLI::App& program, Invocation& invocation);
void add_check(CLI::App& program, Invocation& invocation);
void add_explain(CLI::App& program, Invocation& invocation);
void add_test(CLI::App& program, Invocation& invocation);
void add_verify(CLI::App& program, Invocation& invocation);
void add_services(CLI::App& program, Invocation& invocation);
void add_schema(CLI::App& program, Invocation& invocation);
void add_status(CLI::App& program, Invocation& invocation);
void add_reload(CLI::App& program, Invocation& invocation);
void add_allow(CLI::App& program, Invocation& invocation);
void add_deny(CLI::App& program, Invocation& invocation);
void add_forget(CLI::App& program, Invocation& invocation);
void add_allowed(CLI::App& program, Invocation& invocation);
void add_guard(CLI::App& program, Invocation& invocation);
void add_unguard(CLI::App& program, Invocation& invocation);
void add_pause(CLI::App& program, Invocation& invocation);
void add_doctor(CLI::App& program, Invocation& invocation);
void add_agents(CLI::App& program, Invocation& invocation);
void add_init(CLI::App& program, Invocation& invocation);
void add_watch(CLI::App& program, Invocation& invocation);
void add_suggest(CLI::App& program, Invocation& invocation);
void add_unused(CLI::App& program, Invocation& invocation);
void add_diff(CLI::App& program, Invocation& invocation);
void add_import(CLI::App& program, Invocation& invocation);
void add_ca(CLI::App& program, Invocation& invocation);
void add_completion(CLI::App& program, Invocation& invocation);
void add_help(CLI::App& program, Invocation& invocation);
void add_version(CLI::App& program, Invocation& invocation);

// `gateway serve`, and the same options of the program without a command. The body of `--dry-run` is dry_run.cpp.
void add_serve(CLI::App& program, Invocation& invocation);
enum class DryRunFormat { kText, kJson };
int dry_run(const serve::ServeOptions& options, DryRunFormat format);

// The whole program: parse, run, exit code.
int run_program(int argc, char** argv);

}  // namespace soleroute::gateway::commands
