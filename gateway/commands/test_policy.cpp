// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "gateway/commands/command.h"
#include "gateway/commands/policy_input.h"
#include "gateway/host/policy_files.h"
#include "policy/expectations.h"

namespace soleroute::gateway::commands {
namespace {

struct TestOptions {
  std::vector<std::string> tables;
  std::vector<std::string> policy_files;
  std::string format = "human";
  bool verbose = false;
};

// Policies that a table names lie beside it, wherever the command runs.
std::vector<std::string> beside(const std::string& table, const std::vector<std::string>& names) {
  const auto folder = std::filesystem::path(table).parent_path();
  std::vector<std::string> out;
  for (const auto& name : names) out.push_back((folder / name).string());
  return out;
}

base::Result<policy::ExpectationReport> run_table(const std::string& path, const TestOptions& options) {
  SR_LET(text, host::read_small_file(path, policy::kMaxPolicyBytes));
  SR_LET(table, policy::read_expectations(path, *text));
  const bool named = options.policy_files.empty() && !table->policies.empty();
  SR_LET(compiled,
         named ? host::load_policy(beside(path, table->policies)) : load_policy_or_default(options.policy_files));
  return policy::run_expectations(path, *table, **compiled);
}

std::string output(const std::vector<policy::ExpectationReport>& reports, const TestOptions& options) {
  if (options.format == "tap") return policy::to_tap(reports);
  if (options.format == "junit") return policy::to_junit(reports);
  return policy::to_human(reports, options.verbose);
}

int test(const TestOptions& options) {
  std::vector<policy::ExpectationReport> reports;
  std::size_t failures = 0;
  for (const auto& path : options.tables) {
    auto result = run_table(path, options);
    if (!result) return report(result.error());
    failures += result->failures();
    reports.push_back(std::move(*result));
  }
  fmt::print("{}", output(reports, options));
  std::fflush(stdout);
  return failures == 0 ? kExitDone : kExitNo;
}

}  // namespace

void add_test(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<TestOptions>();
  CLI::App& command =
      add_command(program, invocation, "test", "test a policy against tables of expected decisions",
                  "gateway test --policy policy.yaml policy-tests.yaml", [options] { return test(*options); });
  command.add_option("table", options->tables, "tables of tests (docs/policy/testing.md)")
      ->type_name("FILE")
      ->required();
  command.add_option("--format", options->format, "output format")
      ->check(CLI::IsMember({"human", "tap", "junit"}))
      ->capture_default_str();
  command.add_flag("-v,--verbose", options->verbose, "list the tests that passed too");
  add_policy_option(command, options->policy_files);
}

}  // namespace soleroute::gateway::commands
