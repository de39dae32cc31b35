// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/commands/ci_facts.h"
#include "gateway/commands/command.h"
#include "gateway/commands/findings.h"
#include "gateway/commands/job_summary.h"
#include "gateway/commands/policy_input.h"
#include "gateway/host/policy_files.h"
#include "policy/expectations.h"

namespace soleroute::gateway::commands {
namespace {

using Reports = std::vector<policy::ExpectationReport>;

struct TestOptions {
  std::vector<std::string> tables;
  std::vector<std::string> policy_files;
  std::string format;
  bool verbose = false;
  bool quiet = false;
};

struct CompiledPolicy {
  std::shared_ptr<const policy::Policy> policy;  // null if there are faults
  policy::PolicyFaults faults;
};

// Policies that a table names lie beside it, wherever the command runs.
std::vector<std::string> beside(const std::string& table, const std::vector<std::string>& names) {
  const auto folder = std::filesystem::path(table).parent_path();
  std::vector<std::string> out;
  for (const auto& name : names) out.push_back((folder / name).string());
  return out;
}

CompiledPolicy compile(const std::vector<std::string>& files, PolicyNotice notice) {
  CompiledPolicy out;
  const auto layers = read_policy_layers(files, notice, out.faults);
  auto compiled = policy::Policy::compile(layers, &out.faults);
  if (compiled) {
    out.policy = std::move(*compiled);
  } else if (out.faults.count == 0) {
    out.faults.add(file_fault("", compiled.error()));
  }
  if (out.faults.count > 0) out.policy = nullptr;
  return out;
}

class TestRun {
 public:
  explicit TestRun(const TestOptions& options) : options_(options) {}

  policy::ExpectationReport run(const std::string& path) {
    policy::ExpectationReport wrong{.table = input_name(path)};
    const auto text = read_input(path, policy::kMaxPolicyBytes);
    if (!text) {
      wrong.faults.add(file_fault(wrong.table, text.error()));
      return wrong;
    }
    const auto table = policy::read_expectations(wrong.table, *text, &wrong.faults);
    if (!table) {
      if (wrong.faults.count == 0) wrong.faults.add(file_fault(wrong.table, table.error()));
      return wrong;
    }
    return run(std::move(wrong), path, *table);
  }

 private:
  policy::ExpectationReport run(policy::ExpectationReport wrong, const std::string& path,
                                const policy::ExpectationTable& table) {
    const bool of_table = options_.policy_files.empty() && !table.policies.empty();
    const CompiledPolicy own =
        of_table ? compile(beside(path, table.policies), PolicyNotice::kQuiet) : CompiledPolicy{};
    const CompiledPolicy& compiled = of_table ? own : common();
    if (!compiled.policy) {
      wrong.faults = compiled.faults;
      return wrong;
    }
    const auto begin = std::chrono::steady_clock::now();
    auto report = policy::run_expectations(wrong.table, table, *compiled.policy);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

  // Of --policy or of a default place: read once, however many tables there are.
  const CompiledPolicy& common() {
    const auto notice = options_.quiet ? PolicyNotice::kQuiet : PolicyNotice::kSay;
    if (!common_) common_ = compile(options_.policy_files, notice);
    return *common_;
  }

  const TestOptions& options_;
  std::optional<CompiledPolicy> common_;
};

std::vector<PolicyFinding> findings_of(const Reports& reports) {
  std::vector<PolicyFinding> out;
  for (const auto& report : reports) {
    add_findings(report.faults, out);
    for (const auto& result : report.results) {
      if (result.passed) continue;
      out.push_back({.level = PolicyFinding::Level::kError,
                     .rule = kPolicyTest,
                     .file = result.file,
                     .line = result.line,
                     .message = fmt::format("{}\n{}", result.name, result.failure)});
    }
  }
  return out;
}

void print_text(const Reports& reports, const TestOptions& options) {
  fmt::print("{}", policy::to_human(reports, options.verbose, use_colour(STDOUT_FILENO)));
  std::fflush(stdout);
  for (const auto& report : reports) report_faults(report.faults);
  if (options.format.empty() && in_github_job()) fmt::print("{}", to_github(findings_of(reports), "gateway test"));
}

void print(const Reports& reports, const TestOptions& options) {
  if (options.format == "tap") return fmt::print("{}", policy::to_tap(reports));
  if (options.format == "junit") return fmt::print("{}", policy::to_junit(reports, report_facts()));
  if (options.format == "json") return fmt::print("{}", policy::to_json(reports));
  if (options.format == "github") return fmt::print("{}", to_github(findings_of(reports), "gateway test"));
  if (options.format == "sarif") return fmt::print("{}", to_sarif(findings_of(reports)));
  if (options.format == "codequality") return fmt::print("{}", to_code_quality(findings_of(reports)));
  print_text(reports, options);
}

void summarise(const Reports& reports) {
  std::size_t total = 0;
  std::string rows;
  for (const auto& report : reports) {
    total += report.results.size();
    for (const auto& fault : report.faults.first) {
      rows += fmt::format("| {} | {} |\n",
                          markdown_code(fault.line > 0 ? fmt::format("{}:{}", fault.file, fault.line) : fault.file),
                          markdown_text(fault.what));
    }
    for (const auto& result : report.results) {
      if (result.passed) continue;
      const auto reason = result.failure.substr(0, result.failure.find('\n'));
      rows += fmt::format("| {} | {}: {} |\n", markdown_code(result.place), markdown_text(result.name),
                          markdown_text(reason));
    }
  }
  std::size_t failures = 0;
  for (const auto& report : reports) failures += report.failures();
  std::string text = fmt::format("### Policy tests: {} of {} passed\n\n", total - failures, total);
  if (!rows.empty()) text += "| Where | What failed |\n| --- | --- |\n" + rows + "\n";
  append_job_summary(text);
}

int test(const TestOptions& options) {
  TestRun run(options);
  Reports reports;
  std::size_t failures = 0;
  bool wrong = false;
  for (const auto& path : options.tables) {
    reports.push_back(run.run(path));
    failures += reports.back().failures();
    wrong = wrong || reports.back().faults.count > 0;
  }
  print(reports, options);
  std::fflush(stdout);
  summarise(reports);
  if (wrong) return kExitUsage;
  return failures == 0 ? kExitDone : kExitNo;
}

}  // namespace

void add_test(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<TestOptions>();
  CLI::App& command =
      add_command(program, invocation, "test", "test a policy against tables of expected decisions",
                  "gateway test --policy policy.yaml policy-tests.yaml", [options] { return test(*options); });
  command.add_option("table", options->tables, "tables of tests (docs/policy/testing.md); - is standard input")
      ->type_name("FILE")
      ->required();
  add_format_option(command, options->format, {"github", "sarif", "codequality", "junit", "tap"});
  command.add_flag("-v,--verbose", options->verbose, "list the tests that passed too");
  command.add_flag("-q,--quiet", options->quiet, "do not print which policy file was read");
  add_policy_option(command, options->policy_files);
}

}  // namespace soleroute::gateway::commands
