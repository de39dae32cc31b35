// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/standard_error.h"
#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/policy_input.h"
#include "gateway/host/policy_files.h"
#include "gateway/importers/formats.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

struct ImportOptions {
  std::vector<std::string> files;
  std::string from;
  std::string format = "text";
};

std::vector<std::string_view> format_names() {
  std::vector<std::string_view> names;
  for (const auto& format : importers::formats()) names.push_back(format.name);
  return names;
}

// A folder of agent-sandbox's: its layers in order.
std::vector<std::string> with_layers(const std::vector<std::string>& files) {
  std::vector<std::string> out;
  for (const auto& file : files) {
    std::error_code fault;
    if (!std::filesystem::is_directory(file, fault)) {
      out.push_back(file);
      continue;
    }
    for (const char* layer : {"user.policy.yaml", "user.agent.policy.yaml", "devcontainer.policy.yaml"}) {
      auto path = (std::filesystem::path(file) / layer).string();
      if (host::is_there(path)) out.push_back(std::move(path));
    }
  }
  return out;
}

base::Result<const importers::Format*> format_of(const ImportOptions& options, const importers::Input& input) {
  const auto* format = options.from.empty() ? importers::guess_format(input) : importers::find_format(options.from);
  if (format != nullptr) return format;
  if (options.from.empty()) {
    return base::usage_error(fmt::format("{}: unknown format. Pass --from with one of: {}", base::shown(input.name),
                                         fmt::join(format_names(), ", ")));
  }
  return base::usage_error(fmt::format("--from: '{}' is not one of {}{}", base::shown(options.from),
                                       fmt::join(format_names(), ", "),
                                       policy::did_you_mean(options.from, format_names())));
}

void print(const importers::Draft& draft, const std::string& text, const std::string& format) {
  if (format == "text") return fmt::print("{}", text);
  nlohmann::ordered_json out;
  out["policy"] = text;
  out["meanings"] = draft.meanings();
  out["not_imported"] = nlohmann::ordered_json::array();
  for (const auto& omission : draft.omissions()) {
    out["not_imported"].push_back({{"what", omission.what}, {"why", omission.why}, {"exception", omission.exception}});
  }
  fmt::print("{}\n", out.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace));
}

int import_policy(const ImportOptions& options) {
  const auto files = with_layers(options.files);
  if (files.empty()) return report({"no policy files in this folder", base::ErrorKind::kUsage});
  importers::Draft draft;
  std::vector<std::string> from;
  for (const auto& file : files) {
    auto text = read_input(file, host::kMaxPolicyFile);
    if (!text) return report(text.error());
    const importers::Input input{input_name(file), std::move(*text)};
    const auto format = format_of(options, input);
    if (!format) return report(format.error());
    if (auto read = (*format)->read(input, draft); !read) return report(read.error());
    from.push_back(fmt::format("{} ({})", input.name, (*format)->name));
  }
  const auto text = importers::policy_text(draft, fmt::format("{}", fmt::join(from, ", ")));
  if (!text) return report(text.error());
  print(draft, *text, options.format);
  std::fflush(stdout);
  const auto omitted = draft.omissions().size();
  const auto exceptions = std::ranges::count_if(draft.omissions(), &importers::Omission::exception);
  if (exceptions > 0) {
    warn(fmt::format("{} exception{} not imported: the policy may allow more than the original", exceptions,
                     exceptions == 1 ? " is" : "s are"));
  }
  base::to_standard_error(
      fmt::format("gateway: {} entr{} imported from {}{}\n", draft.entries().size(),
                  draft.entries().size() == 1 ? "y" : "ies", base::shown(fmt::format("{}", fmt::join(from, ", "))),
                  omitted == 0 ? "" : fmt::format("; {} not imported, listed at the end", omitted)));
  return kExitDone;
}

std::string footer() {
  std::string out =
      "gateway import squid.conf > policy.yaml\n  gateway check policy.yaml\n\nFormats (recognized by the "
      "text, or --from):";
  for (const auto& format : importers::formats()) out += fmt::format("\n  {:<16} {}", format.name, format.what);
  return out;
}

}  // namespace

void add_import(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<ImportOptions>();
  CLI::App& command = add_command(program, invocation, "import", "make a policy from the configuration of another tool",
                                  footer(), [options] { return import_policy(*options); });
  command.add_option("file", options->files, "files to read; - is standard input")->type_name("FILE")->required();
  command.add_option("--from", options->from, "format of the files (default: recognized)")->type_name("FORMAT");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
