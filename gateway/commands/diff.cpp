// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/job_summary.h"
#include "gateway/host/policy_files.h"
#include "policy/difference.h"

namespace soleroute::gateway::commands {
namespace {

using policy::Change;
using policy::Effect;

struct DiffOptions {
  std::string before;
  std::string after;
  std::string format = "text";
};

// "a.yaml,b.yaml": the layers of one policy.
std::vector<std::string> files_of(std::string_view list) {
  std::vector<std::string> files;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(',', begin), list.size());
    files.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return files;
}

std::string place_of(const Change& change) {
  return change.line == 0 ? std::string() : fmt::format("{}:{}", change.file, change.line);
}

std::string subject_of(const Change& change) {
  return change.agent.empty() ? change.subject : fmt::format("{} (agent {})", change.subject, change.agent);
}

std::vector<const Change*> those_that(const std::vector<Change>& changes, Effect effect) {
  std::vector<const Change*> out;
  for (const auto& change : changes) {
    if (change.effect == effect) out.push_back(&change);
  }
  return out;
}

struct Heading {
  Effect effect;
  const char* title;
  char mark;
};
constexpr Heading kHeadings[] = {
    {Effect::kOpens, "Opens", '+'}, {Effect::kCloses, "Closes", '-'}, {Effect::kChanges, "Changes", '~'}};

std::string as_text(const std::vector<Change>& changes) {
  if (changes.empty()) return "Both policies decide the same.\n";
  std::string out;
  for (const auto& heading : kHeadings) {
    const auto some = those_that(changes, heading.effect);
    if (some.empty()) continue;
    out += fmt::format("{}{}:\n", out.empty() ? "" : "\n", heading.title);
    for (const auto* change : some) {
      const auto place = place_of(*change);
      out += base::shown(fmt::format("  {} {}: {}{}", heading.mark, subject_of(*change), change->what,
                                     place.empty() ? "" : fmt::format("  ({})", place))) +
             "\n";
    }
  }
  return out;
}

std::string as_markdown(const std::vector<Change>& changes) {
  std::string out = "### Network policy\n\n";
  if (changes.empty()) return out + "Both policies decide the same.\n";
  for (const auto& heading : kHeadings) {
    const auto some = those_that(changes, heading.effect);
    if (some.empty()) continue;
    out += fmt::format("**{}**\n\n| | host or range | what | line |\n| --- | --- | --- | --- |\n", heading.title);
    for (const auto* change : some) {
      out += fmt::format("| {} | {} | {} | {} |\n", heading.mark, markdown_code(subject_of(*change)),
                         markdown_code(change->what), markdown_code(place_of(*change)));
    }
    out += "\n";
  }
  return out;
}

// GitHub's workflow commands escape these in a message.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '%' || c == '\r' || c == '\n' || c == ':' || c == ',') {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string as_github(const std::vector<Change>& changes) {
  std::string out;
  for (const auto* change : those_that(changes, Effect::kOpens)) {
    const auto place =
        change->line == 0 ? std::string() : fmt::format(" file={},line={}", escaped(change->file), change->line);
    out += fmt::format("::warning{}::{}\n", place,
                       escaped(base::shown(fmt::format("opens {}: {}", subject_of(*change), change->what))));
  }
  return out;
}

std::string as_json(const std::vector<Change>& changes) {
  nlohmann::ordered_json out;
  for (const auto& heading : kHeadings) {
    std::string key = heading.title;
    key.front() = static_cast<char>(key.front() - 'A' + 'a');
    out[key] = nlohmann::ordered_json::array();
    for (const auto* change : those_that(changes, heading.effect)) {
      nlohmann::ordered_json item{{"subject", change->subject}, {"what", change->what}};
      if (!change->agent.empty()) item["agent"] = change->agent;
      if (change->line != 0) item["file"] = change->file;
      if (change->line != 0) item["line"] = change->line;
      out[key].push_back(std::move(item));
    }
  }
  return out.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int diff(const DiffOptions& options) {
  // Reading is most of what long policies cost.
  auto reading = std::async(std::launch::async | std::launch::deferred,
                            [&options] { return host::load_policy(files_of(options.before)); });
  const auto after = host::load_policy(files_of(options.after));
  const auto before = reading.get();
  if (!before) return report(before.error());
  if (!after) return report(after.error());
  const auto changes = policy::difference(**before, **after);
  fmt::print("{}", options.format == "json"     ? as_json(changes)
                   : options.format == "md"     ? as_markdown(changes)
                   : options.format == "github" ? as_github(changes)
                                                : as_text(changes));
  return those_that(changes, Effect::kOpens).empty() ? kExitDone : kExitNo;
}

}  // namespace

void add_diff(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<DiffOptions>();
  CLI::App& command = add_command(program, invocation, "diff", "show what an edit of a policy opens and closes",
                                  "gateway diff old.yaml new.yaml\n"
                                  "  git show main:policy.yaml > old.yaml && gateway diff old.yaml policy.yaml\n\n"
                                  "Exit status 1 if anything opens. Policies of several files: FILE,FILE.",
                                  [options] { return diff(*options); });
  command.add_option("old", options->before, "policy before the edit")->type_name("OLD")->required();
  command.add_option("new", options->after, "policy after the edit")->type_name("NEW")->required();
  add_format_option(command, options->format, {"github", "md"});
}

}  // namespace soleroute::gateway::commands
