// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "gateway/commands/command.h"
#include "gateway/commands/templates.h"
#include "gateway/serve/policy_files.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string agent = "claude";
  std::string folder = ".";
};

struct Output {
  fs::path path;
  std::string text;
};

// Never over a file that is there, nor through a link to somewhere else.
base::Status write_new(const Output& output) {
  std::error_code failed;
  fs::create_directories(output.path.parent_path(), failed);
  const base::Fd fd(::open(output.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) return base::errno_error(serve::printable_path(output.path.string()));
  std::string_view rest = output.text;
  while (!rest.empty()) {
    const ssize_t size = ::write(fd.get(), rest.data(), rest.size());
    if (size <= 0) return base::errno_error(serve::printable_path(output.path.string()));
    rest.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

base::Result<std::vector<Output>> planned(const Options& options) {
  const auto agents = template_agents();
  if (std::ranges::find(agents, options.agent) == agents.end()) {
    return base::usage_error(
        fmt::format("--agent: '{}' is not one of {}", policy::shown(options.agent), fmt::join(agents, ", ")));
  }
  std::error_code failed;
  const fs::path folder = fs::canonical(options.folder, failed);
  if (failed) {
    return base::usage_error(serve::printable_path(options.folder) + ": " + failed.message());
  }
  std::vector<Output> outputs;
  for (const TemplateFile& file : template_files()) {
    if (file.agent != options.agent) continue;
    std::string text(file.text);
    if (file.path == ".env") {
      text = filled_in(text, project_name(folder.filename().string(), options.agent), project_network(folder.string()));
    }
    outputs.push_back({folder / file.path, std::move(text)});
  }
  return outputs;
}

int init(const Options& options) {
  auto outputs = planned(options);
  if (!outputs) return report(outputs.error());
  std::error_code failed;
  std::string lines_for_env;
  for (const Output& output : *outputs) {
    if (!fs::exists(fs::symlink_status(output.path, failed))) continue;
    if (output.path.filename() == ".env") {
      lines_for_env = output.text;
      continue;
    }
    return report({.message = serve::printable_path(output.path.string()) + " exists already: nothing was written",
                   .kind = base::ErrorKind::kUsage});
  }
  for (const Output& output : *outputs) {
    if (output.path.filename() == ".env" && !lines_for_env.empty()) continue;
    if (auto written = write_new(output); !written) return report(written.error());
    fmt::print("wrote {}\n", serve::printable_path(output.path.string()));
  }
  if (!lines_for_env.empty()) fmt::print("\n.env exists already. Add these lines to it:\n\n{}\n", lines_for_env);
  fmt::print("next: docker compose up -d && docker compose exec agent zsh\n");
  return kExitDone;
}

}  // namespace

void add_init(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(program, invocation, "init",
                                  "Write a project's container stack: .devcontainer and .env for an agent behind the "
                                  "gateway; never over files that are there",
                                  "gateway init --agent claude", [options] { return init(*options); });
  command.add_option("--agent", options->agent, "whose template")->capture_default_str()->type_name("claude|copilot");
  command.add_option("folder", options->folder, "the project's folder")->capture_default_str()->type_name("DIR");
}

}  // namespace soleroute::gateway::commands
