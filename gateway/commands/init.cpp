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
#include "gateway/project/agent_catalog.h"
#include "gateway/project/project_identity.h"
#include "gateway/project/stack_template.h"
#include "gateway/serve/policy_files.h"
#include "policy/source_text.h"

namespace soleroute::gateway::commands {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOwnAgents = ".devcontainer/agents";

struct Options {
  std::vector<std::string> agents{"claude"};
  std::string name;
  std::string network;
  std::string image;
  std::string engine = "docker";
  std::string folder = ".";
};

// Never over a file that is there, nor through a link to somewhere else.
base::Status write_new(const fs::path& path, std::string_view rest) {
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  const base::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) return base::errno_error(serve::printable_path(path.string()));
  while (!rest.empty()) {
    const ssize_t size = ::write(fd.get(), rest.data(), rest.size());
    if (size <= 0) return base::errno_error(serve::printable_path(path.string()));
    rest.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

// What may stand in an image's name: it goes into YAML between quotes.
bool is_image_name(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._/:@").contains(c);
  });
}

// A project's own file wins over the program's of the same name.
base::Result<project::Agent> agent_named(const fs::path& folder, const std::string& name) {
  if (project::is_agent_name(name)) {
    const fs::path own = folder / kOwnAgents / (name + ".yaml");
    std::error_code failed;
    if (fs::exists(fs::symlink_status(own, failed))) return project::agent_from_file(own.string());
  }
  auto agent = project::built_in_agent(name);
  if (agent) return agent;
  return base::usage_error(
      fmt::format("--agent: {}. A project's own agent is a file: {}/NAME.yaml", agent.error().message, kOwnAgents));
}

base::Result<std::vector<project::Agent>> chosen_agents(const fs::path& folder, std::vector<std::string> names) {
  std::ranges::sort(names);  // one image for one set of agents, however they are listed
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  std::vector<project::Agent> agents;
  for (const std::string& name : names) {
    auto agent = agent_named(folder, name);
    if (!agent) return std::unexpected(agent.error());
    agents.push_back(std::move(*agent));
  }
  return agents;
}

base::Result<fs::path> project_folder(const Options& options) {
  std::error_code failed;
  fs::path folder = fs::canonical(options.folder, failed);
  if (!failed && !fs::is_directory(folder, failed)) failed = std::make_error_code(std::errc::not_a_directory);
  if (!failed) return folder;
  return base::usage_error(serve::printable_path(options.folder) + ": " + failed.message());
}

base::Result<project::Stack> planned(const Options& options, const fs::path& folder) {
  auto agents = chosen_agents(folder, options.agents);
  if (!agents) return std::unexpected(agents.error());
  project::Stack stack{.project = options.name,
                       .network = project::project_network(folder.string()),
                       .gateway_image = "soleroute/gateway:" SOLEROUTE_VERSION,
                       .agent_image = options.image,
                       .agents = std::move(*agents),
                       .engine = options.engine == "podman" ? project::Engine::kPodman : project::Engine::kDocker};
  if (stack.project.empty()) stack.project = project::project_name(folder.string(), stack.agents.front().name);
  if (!project::is_project_name(stack.project)) {
    return base::usage_error(fmt::format(
        "--name: '{}' cannot be a project's name; use a-z, 0-9, '-' and '_', beginning with a letter or digit",
        policy::shown(stack.project)));
  }
  if (!options.network.empty()) {
    auto network = project::network_of(options.network);
    if (!network) return base::usage_error("--network: " + network.error().message);
    stack.network = std::move(*network);
  }
  if (stack.agent_image.empty()) stack.agent_image = project::image_name(stack.agents, SOLEROUTE_VERSION);
  if (!is_image_name(stack.agent_image)) {
    return base::usage_error(fmt::format("--image: '{}' is not an image's name", policy::shown(stack.agent_image)));
  }
  return stack;
}

int init(const Options& options) {
  const auto folder = project_folder(options);
  if (!folder) return report(folder.error());
  const auto stack = planned(options, *folder);
  if (!stack) return report(stack.error());
  const auto files = project::project_files(*stack);
  if (!files) return report(files.error());
  std::error_code failed;
  bool has_environment = false;
  for (const project::ProjectFile& file : *files) {
    const fs::path path = *folder / file.path;
    if (!fs::exists(fs::symlink_status(path, failed))) continue;
    if (file.path == ".env") {
      has_environment = true;
      continue;
    }
    return report({.message = serve::printable_path(path.string()) + " exists already: nothing was written",
                   .kind = base::ErrorKind::kUsage});
  }
  for (const project::ProjectFile& file : *files) {
    if (file.path == ".env" && has_environment) continue;
    const fs::path path = *folder / file.path;
    if (auto written = write_new(path, file.text); !written) return report(written.error());
    fmt::print("wrote {}\n", serve::printable_path(path.string()));
  }
  if (has_environment) {
    fmt::print("\n.env exists already. Add these lines to it:\n\n{}\n", project::env_lines(*stack));
  }
  fmt::print("next: docker compose up -d && docker compose exec agent zsh\n");
  return kExitDone;
}

}  // namespace

void add_init(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(program, invocation, "init",
                  "Write a project's container stack (.devcontainer and .env); existing files are never overwritten",
                  "gateway init --agent claude", [options] { return init(*options); });
  command.add_option("--agent", options->agents, "agents of the stack, separated by commas; see 'gateway agents'")
      ->capture_default_str()
      ->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("NAME[,NAME]");
  command.add_option("--name", options->name, "Compose project name (default: folder's name and a hash of its path)")
      ->type_name("NAME");
  command.add_option("--network", options->network, "agents' network, a private IPv4 /24 (default: from the path)")
      ->type_name("CIDR");
  command.add_option("--image", options->image, "agent's image (default: soleroute/AGENTS:" SOLEROUTE_VERSION ")")
      ->type_name("IMAGE");
  command.add_option("--engine", options->engine, "container engine")
      ->capture_default_str()
      ->check(CLI::IsMember({"docker", "podman"}))
      ->type_name("docker|podman");
  command.add_option("folder", options->folder, "project's folder")->capture_default_str()->type_name("DIR");
}

}  // namespace soleroute::gateway::commands
