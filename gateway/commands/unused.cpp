// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/standard_error.h"
#include "base/text.h"
#include "gateway/audit/log_line.h"
#include "gateway/audit/suggestion.h"
#include "gateway/commands/command.h"
#include "gateway/commands/line_source.h"
#include "gateway/commands/policy_input.h"
#include "policy/listed_lines.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {
namespace {

struct UnusedOptions {
  std::vector<std::string> logs;
  std::vector<std::string> policy_files;
  std::string format = "text";
};

// What the allowed flows of a log used.
class Usage {
 public:
  explicit Usage(const policy::Policy& policy) : policy_(policy) {}

  base::Status read(const std::string& path) {
    SR_LET(source, LineSource::open(path, false));
    std::size_t lines = 0;
    std::size_t records = 0;
    while (const auto text = source->next()) {
      ++lines;
      const auto line = audit::parse_log_line(*text);
      if (!line) continue;
      ++records;
      if (line->type == audit::LineType::kDecision) add(line->decision);
    }
    return check_is_log(path, lines, records);
  }
  [[nodiscard]] std::uint64_t allowed() const { return allowed_; }
  [[nodiscard]] bool has(const std::string& place) const { return places_.contains(place); }

 private:
  // The log has no queries: where a rule is about one, what the log names as the rule tells.
  void add(const audit::DecisionRecord& record) {
    if (!record.allowed) return;
    ++allowed_;
    if (!record.rule.empty()) places_.insert(record.rule);
    if (auto place = audit::allowed_by(record, policy_); !place.empty()) places_.insert(std::move(place));
  }

  const policy::Policy& policy_;
  std::set<std::string, std::less<>> places_;
  std::uint64_t allowed_ = 0;
};

struct UnusedLine {
  std::string file;
  int line = 0;
  std::string text;  // as the file has it
};

std::string line_text(const std::vector<policy::PolicySource>& layers, const policy::SourceLine& line) {
  const auto layer = std::ranges::find(layers, line.file, &policy::PolicySource::name);
  if (layer == layers.end()) return {};
  const auto lines = base::lines_of(layer->text);
  const auto index = static_cast<std::size_t>(line.line) - 1;
  if (line.line < 1 || index >= lines.size()) return {};
  const auto text = lines[index];
  const auto begin = std::min(text.find_first_not_of(" \t"), text.size());
  const auto end = text.find_last_not_of(" \t\r");
  return std::string(end == std::string_view::npos ? "" : text.substr(begin, end + 1 - begin));
}

void print(const std::vector<UnusedLine>& unused, const std::string& format) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& one : unused) {
    if (format == "json") {
      list.push_back({{"file", one.file}, {"line", one.line}, {"text", one.text}});
    } else {
      fmt::print("{}:{}: {}\n", base::shown(one.file), one.line, base::shown(one.text));
    }
  }
  if (format == "json") {
    fmt::print("{}\n", list.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
  }
}

int unused(const UnusedOptions& options) {
  const std::vector<std::string> logs = options.logs.empty() ? std::vector<std::string>{"-"} : options.logs;
  if (options.logs.empty() && ::isatty(STDIN_FILENO) == 1) {
    return report({.message = "missing FILE (or pipe a log: docker logs GATEWAY | gateway unused)",
                   .kind = base::ErrorKind::kUsage});
  }
  policy::PolicyFaults faults;
  const auto layers = read_policy_layers(options.policy_files, PolicyNotice::kSay, faults);
  if (faults.count > 0) return report({faults.first.front().text, base::ErrorKind::kUsage});
  const auto policy = policy::Policy::compile(layers);
  if (!policy) return report(policy.error());
  Usage usage(**policy);
  for (const auto& log : logs) {
    if (auto read = usage.read(log); !read) return report(read.error());
  }
  if (usage.allowed() == 0) {
    return report({.message = "the log has no allowed requests (written with --log quiet?); cannot tell what is unused",
                   .kind = base::ErrorKind::kUsage});
  }
  const auto lines = policy::allowing_lines(**policy);
  std::vector<UnusedLine> found;
  for (const auto& line : lines) {
    if (usage.has(policy::place_of(line))) continue;
    found.push_back({std::string(line.file), line.line, line_text(layers, line)});
  }
  print(found, options.format);
  std::fflush(stdout);
  base::to_standard_error(fmt::format("gateway: {} of {} lines not used by {} allowed decisions\n", found.size(),
                                      lines.size(), usage.allowed()));
  return kExitDone;
}

}  // namespace

void add_unused(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<UnusedOptions>();
  CLI::App& command = add_command(program, invocation, "unused", "list the policy lines that nothing in a log used",
                                  "gateway unused decisions.json --policy policy.yaml\n\n"
                                  "A line is used if it allowed a request, a connection or a DNS query of the log. Use "
                                  "logs of all work that the policy is for.",
                                  [options] { return unused(*options); });
  command.add_option("log", options->logs, "decision logs (default: standard input, also -)")->type_name("FILE");
  add_format_option(command, options->format);
  add_policy_option(command, options->policy_files);
}

}  // namespace soleroute::gateway::commands
