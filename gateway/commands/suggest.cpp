// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/standard_error.h"
#include "base/text.h"
#include "gateway/audit/log_line.h"
#include "gateway/commands/command.h"
#include "gateway/commands/job_summary.h"
#include "gateway/commands/line_source.h"
#include "gateway/commands/policy_change.h"
#include "gateway/commands/policy_suggestion.h"
#include "gateway/commands/suggestion_choice.h"
#include "gateway/host/policy_files.h"
#include "gateway/host/policy_write.h"
#include "policy/policy_edit.h"

namespace soleroute::gateway::commands {
namespace {

struct SuggestOptions {
  std::vector<std::string> logs;
  std::vector<std::string> policy_files;
  std::string format = "text";
  bool apply = false;
  bool interactive = false;
  bool all = false;

  [[nodiscard]] bool changes() const { return apply || interactive; }
};

base::Status read_log(const std::string& path, Refusals& refusals) {
  SR_LET(source, LineSource::open(path, false));
  std::size_t lines = 0;
  std::size_t records = 0;
  while (const auto text = source->next()) {
    ++lines;
    const auto line = audit::parse_log_line(*text);
    if (!line) continue;
    ++records;
    if (line->type == audit::LineType::kDecision) refusals.add(line->decision);
  }
  return check_is_log(path, lines, records);
}

void tell_what_is_left(const Refusals& refusals, const PolicySuggestion& suggestion) {
  for (const auto& [reason, count] : suggestion.without) {
    base::to_standard_error(fmt::format("gateway: {} denial{} ({}) cannot be allowed by a policy\n", count,
                                        count == 1 ? "" : "s", base::shown(reason)));
  }
  if (refusals.not_kept() > 0) {
    base::to_standard_error(fmt::format(
        "gateway: {} further records were not read; run again after applying these lines\n", refusals.not_kept()));
  }
}

std::size_t count_of(const PolicySuggestion& suggestion) {
  std::size_t out = 0;
  for (const auto& [reason, count] : suggestion.without) out += count;
  return out;
}

// For a review, a chat or the summary of a CI job. What comes from a log is in `yaml` as this program wrote it.
std::string as_markdown(const PolicySuggestion& suggestion, std::string_view file) {
  std::string out = "### Blocked network access\n\n";
  if (suggestion.yaml.empty()) {
    out += "Nothing to suggest.\n";
  } else {
    out += fmt::format("To allow what was blocked, review these lines and add them to {}:\n\n{}", markdown_code(file),
                       markdown_block(suggestion.yaml, "yaml"));
  }
  if (!suggestion.left_out.empty()) out += "\n" + markdown_block(left_out_text(suggestion), "yaml");
  if (const auto others = count_of(suggestion); others > 0) {
    out += fmt::format("\n{} denial{} cannot be allowed by a policy.\n", others, others == 1 ? "" : "s");
  }
  return out;
}

std::string as_json(const PolicySuggestion& suggestion) {
  nlohmann::ordered_json out;
  out["suggestion"] = suggestion.yaml;
  out["left_out"] = nlohmann::ordered_json::array();
  for (const auto& line : suggestion.left_out) {
    out["left_out"].push_back({{"list", line.list}, {"item", line.item}, {"why", line.demand}});
  }
  out["not_allowable"] = nlohmann::ordered_json::object();
  for (const auto& [reason, count] : suggestion.without) out["not_allowable"][reason] = count;
  return out.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// The policy that --apply changes is found like that of `check`; without a file it is a new policy.yaml.
base::Result<std::vector<policy::PolicySource>> read_layers(const SuggestOptions& options) {
  if (!options.changes()) return host::read_policy_files(options.policy_files);
  const auto choice = host::choose_policy(options.policy_files);
  if (choice.files.empty()) return std::vector<policy::PolicySource>{{"policy.yaml", ""}};
  base::to_standard_error(host::policy_notice(choice));
  return host::read_policy_files(choice.files);
}

std::vector<policy::NewEntry> entries_of(const std::vector<audit::PolicyLines::Line>& lines) {
  std::vector<policy::NewEntry> out;
  for (const auto& line : lines) out.push_back({.list = line.list, .item = line.item, .remark = line.remark});
  return out;
}

int change_policy(const SuggestOptions& options, const PolicySuggestion& suggestion,
                  const std::vector<policy::PolicySource>& layers) {
  auto chosen = options.interactive ? choose_lines(suggestion)
                                    : base::Result<std::vector<policy::NewEntry>>(entries_of(suggestion.lines));
  if (!chosen) return report(chosen.error());
  if (!options.interactive) fmt::print("{}", left_out_text(suggestion));
  if (chosen->empty()) {
    if (options.interactive) base::to_standard_error("gateway: nothing is changed\n");
    return kExitDone;
  }
  const auto changed = changed_policy(layers, *chosen);
  if (!changed) return report(changed.error());
  fmt::print("{}:\n{}", base::shown(changed->name), change_text(layers.back().text, changed->text));
  std::fflush(stdout);
  if (auto written = host::replace_policy_file(changed->name, layers.back().text, changed->text); !written) {
    return report(written.error());
  }
  base::to_standard_error(fmt::format("gateway: {} is changed. A gateway that uses it reads it on 'gateway reload'\n",
                                      base::shown(changed->name)));
  return kExitDone;
}

int print_suggestion(const SuggestOptions& options, const PolicySuggestion& suggestion, const std::string& file) {
  const bool markdown = options.format == "md";
  fmt::print("{}", markdown                   ? as_markdown(suggestion, file)
                   : options.format == "json" ? as_json(suggestion)
                                              : suggestion.yaml + left_out_text(suggestion));
  if (!markdown) append_job_summary(as_markdown(suggestion, file));
  return kExitDone;
}

int suggest_body(const SuggestOptions& options) {
  const std::vector<std::string> logs = options.logs.empty() ? std::vector<std::string>{"-"} : options.logs;
  if (options.logs.empty() && ::isatty(STDIN_FILENO) == 1) {
    return report({.message = "missing FILE (or pipe a log: docker logs GATEWAY | gateway suggest)",
                   .kind = base::ErrorKind::kUsage});
  }
  const auto layers = read_layers(options);
  if (!layers) return report(layers.error());
  const std::string file = layers->empty() ? "policy.yaml" : layers->back().name;
  Refusals refusals;
  for (const auto& log : logs) {
    if (auto read = read_log(log, refusals); !read) return report(read.error());
  }
  const auto suggestion = suggest(refusals, *layers, options.all ? Doubtful::kSuggest : Doubtful::kLeaveOut);
  if (!suggestion) return report(suggestion.error());
  if (suggestion->yaml.empty()) {
    base::to_standard_error(fmt::format("gateway: {}\n", refusals.kinds().empty()
                                                             ? "no denials in the log; nothing to suggest"
                                                             : "nothing to suggest"));
  }
  tell_what_is_left(refusals, *suggestion);
  return options.changes() ? change_policy(options, *suggestion, *layers)
                           : print_suggestion(options, *suggestion, file);
}

}  // namespace

void add_suggest(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<SuggestOptions>();
  CLI::App& command = add_command(program, invocation, "suggest", "generate a policy from a log of denials",
                                  "gateway suggest decisions.json --policy policy.yaml > more.yaml\n"
                                  "  gateway check policy.yaml more.yaml\n\n"
                                  "The output is a layer over --policy. Review it before use: the log shows what was "
                                  "tried, not what should be allowed. Lines that may be ways for data to leave are "
                                  "comments: addresses, non-public addresses, DNS over HTTPS, and names that look "
                                  "like data.",
                                  [options] { return suggest_body(*options); });
  command.add_option("log", options->logs, "decision logs (default: standard input, also -)")->type_name("FILE");
  add_format_option(command, options->format, {"md"});
  command.get_option("--format")->description("output format (default: text, a policy)");
  add_policy_option(command, options->policy_files);
  CLI::Option* apply = command.add_flag("--apply", options->apply,
                                        "show the change and write it into the policy file, the last --policy");
  command.add_flag("-i,--interactive", options->interactive, "ask about each line on the terminal, then apply");
  command.add_flag("--all", options->all, "do not leave out what may be a way for data to leave");
  command.get_option("--format")->excludes(apply)->excludes("--interactive");
}

}  // namespace soleroute::gateway::commands
