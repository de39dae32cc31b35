// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gateway/commands/ci_facts.h"
#include "gateway/commands/command.h"
#include "gateway/commands/findings.h"
#include "gateway/commands/policy_input.h"
#include "policy/expectations.h"

namespace soleroute::gateway::commands {
namespace {

using Json = nlohmann::ordered_json;

struct CheckOptions {
  std::vector<std::string> positional;
  std::vector<std::string> policy_files;
  std::string format;
  bool quiet = false;
  bool strict = false;
};

struct Checked {
  std::vector<std::string> files;
  std::shared_ptr<const policy::Policy> policy;  // null if there are faults
  policy::PolicyFaults faults;
  std::vector<std::string> warnings;
  std::vector<PolicyFinding> findings;  // the same, and the faults
};

Checked read_and_compile(const CheckOptions& options) {
  Checked checked;
  const auto notice = options.quiet ? PolicyNotice::kQuiet : PolicyNotice::kSay;
  const auto layers = read_policy_layers(options.positional.empty() ? options.policy_files : options.positional, notice,
                                         checked.faults);
  for (const auto& layer : layers) checked.files.push_back(layer.name);
  auto compiled = policy::Policy::compile(layers, &checked.faults);
  if (compiled && checked.faults.count == 0) {
    checked.policy = std::move(*compiled);
    checked.warnings = checked.policy->warnings();
  }
  if (!compiled && checked.faults.count == 0) checked.faults.add(file_fault("", compiled.error()));
  add_findings(checked.faults, checked.findings);
  for (const auto& warning : checked.warnings) checked.findings.push_back(warning_finding(warning, checked.files));
  return checked;
}

Json finding_json(const PolicyFinding& finding) {
  Json json{{"file", finding.file}};
  if (finding.line > 0) json["line"] = finding.line;
  if (finding.column > 0) json["column"] = finding.column;
  json["message"] = finding.message;
  return json;
}

std::string to_json(const Checked& checked) {
  auto errors = Json::array();
  auto warnings = Json::array();
  for (const auto& finding : checked.findings) {
    (finding.level == PolicyFinding::Level::kError ? errors : warnings).push_back(finding_json(finding));
  }
  Json json{{"valid", checked.policy != nullptr},
            {"files", checked.files},
            {"error_count", checked.faults.count},
            {"errors", std::move(errors)},
            {"warnings", std::move(warnings)}};
  if (checked.policy) {
    auto allows = Json::array();
    const std::string described = checked.policy->describe();
    for (const auto line : base::lines_of(described)) allows.push_back(line);
    json["allows"] = std::move(allows);
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// One test for each file: is it valid?
std::vector<policy::ExpectationReport> as_tests(const Checked& checked) {
  policy::ExpectationReport report{.table = "gateway check"};
  std::vector<std::string> files = checked.files;
  for (const auto& fault : checked.faults.first) {
    if (std::ranges::find(files, fault.file) == files.end()) files.push_back(fault.file);
  }
  if (files.empty()) files.emplace_back("the empty policy");
  for (const auto& file : files) {
    policy::ExpectationResult result{.name = file + " is valid", .file = file, .place = file, .passed = true};
    for (const auto& fault : checked.faults.first) {
      if (fault.file != file) continue;
      result.passed = false;
      result.failure += fault.text + "\n";
    }
    report.results.push_back(std::move(result));
  }
  return {std::move(report)};
}

void print_text(const Checked& checked, const CheckOptions& options) {
  if (checked.policy && !options.quiet) fmt::print("{}", checked.policy->describe());
  std::fflush(stdout);
  report_faults(checked.faults);
  for (const auto& warning : checked.warnings) warn(warning);
  if (options.format.empty() && in_github_job()) fmt::print("{}", to_github(checked.findings, "gateway check"));
}

void print(const Checked& checked, const CheckOptions& options) {
  if (options.format == "json") return fmt::print("{}", to_json(checked));
  if (options.format == "github") return fmt::print("{}", to_github(checked.findings, "gateway check"));
  if (options.format == "sarif") return fmt::print("{}", to_sarif(checked.findings));
  if (options.format == "codequality") return fmt::print("{}", to_code_quality(checked.findings));
  if (options.format == "junit") return fmt::print("{}", policy::to_junit(as_tests(checked), report_facts()));
  if (options.format == "tap") return fmt::print("{}", policy::to_tap(as_tests(checked)));
  print_text(checked, options);
}

int check(const CheckOptions& options) {
  const Checked checked = read_and_compile(options);
  print(checked, options);
  if (!checked.policy) return kExitUsage;
  return options.strict && !checked.warnings.empty() ? kExitNo : kExitDone;
}

}  // namespace

void add_check(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App& command = add_command(program, invocation, "check", "validate policy files and show what they allow",
                                  "gateway check policy.yaml", [options] { return check(*options); });
  command.add_option("file", options->positional, "policy files; later files override; - is standard input")
      ->type_name("FILE");
  command.add_flag("-q,--quiet", options->quiet, "print only errors and warnings");
  command.add_flag("--strict", options->strict, "exit with status 1 if there are warnings");
  add_format_option(command, options->format, {"github", "sarif", "codequality", "junit", "tap"});
  add_policy_option(command, options->policy_files);
}

}  // namespace soleroute::gateway::commands
