// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/container_marks.h"
#include "gateway/host/policy_files.h"
#include "gateway/project/agent_catalog.h"
#include "gateway/project/env_file.h"
#include "gateway/project/free_network.h"
#include "gateway/project/host_path.h"
#include "gateway/project/joined_dockerfile.h"
#include "gateway/project/machine_networks.h"
#include "gateway/project/new_files.h"
#include "gateway/project/project_identity.h"
#include "gateway/project/stack_template.h"

namespace soleroute::gateway::commands {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOwnAgents = ".devcontainer/agents";
constexpr std::string_view kPolicy = ".devcontainer/policy.yaml";
constexpr std::size_t kMaxEnvFile = std::size_t{1} << 20;
constexpr std::size_t kMaxRecipe = std::size_t{1} << 20;
constexpr std::size_t kMaxMountInfo = std::size_t{4} << 20;
// Where `docker compose` alone means the project's own files. The agent must not be able to write one: what an .env
// says decides what Compose starts on the machine.
constexpr std::string_view kSilentEnv = "# Compose reads this file; in the agent's container it is read-only.\n";

struct InitOptions {
  std::vector<std::string> agents{"claude"};
  std::string name;
  std::string network;
  std::string image;
  std::string engine = "docker";
  std::string path;  // the folder's on the machine
  std::string folder = ".";
  std::string build;  // a clone of the repository
  std::string format = "text";
  bool append = false;
  bool replace = false;
};

// What `init` is about to do.
struct Plan {
  fs::path folder;
  project::Stack stack;
  std::vector<project::ProjectFile> files;  // new ones
  std::vector<std::string> set_aside;       // of these, the ones that exist and become NAME.old
  project::EnvPlan env;
  std::string new_env;  // where the .env that exists changes
};

// What may stand in an image's name: it goes into YAML between quotes.
bool is_image_name(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return base::is_alphanumeric(c) || std::string_view("-._/:@").contains(c); });
}

fs::path own_file(const fs::path& folder, const std::string& agent) {
  return folder / kOwnAgents / (agent + ".yaml");
}

// A project's own file wins over the program's of the same name.
bool is_own(const fs::path& folder, const std::string& agent) {
  std::error_code failed;
  return project::is_agent_name(agent) && fs::exists(fs::symlink_status(own_file(folder, agent), failed));
}

base::Result<project::Agent> agent_named(const fs::path& folder, const std::string& name) {
  if (is_own(folder, name)) return project::agent_from_file(own_file(folder, name).string());
  auto agent = project::built_in_agent(name);
  if (agent) return agent;
  return base::usage_error(
      fmt::format("--agent: {}. A project's own agent is a file: {}/NAME.yaml", agent.error().message, kOwnAgents));
}

// What `docker compose build` needs where no image is published.
base::Result<std::optional<project::Build>> planned_build(const InitOptions& options, const fs::path& folder,
                                                          const std::vector<project::Agent>& agents) {
  if (options.build.empty()) return std::nullopt;
  std::error_code failed;
  const fs::path clone = fs::canonical(options.build, failed);
  std::array<project::Recipe, 3> recipes{{{"docker/gateway/Dockerfile", {}, "gateway-image", "GATEWAY_IMAGE"},
                                          {"docker/base/Dockerfile", {}, "base-image", "AGENT_BASE_IMAGE"},
                                          {"docker/agents/Dockerfile", {}, "agent-image", {}}}};
  std::array<std::string, 3> texts;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    auto text = host::read_small_file((clone / recipes[i].file).string(), kMaxRecipe);
    if (failed || !text) {
      return base::usage_error(fmt::format("--build: {} is not a clone of Soleroute's repository: it has no {}",
                                           base::shown(options.build), recipes[i].file));
    }
    texts[i] = std::move(*text);
    recipes[i].text = texts[i];
  }
  auto dockerfile = project::joined_dockerfile(recipes);
  if (!dockerfile) return base::usage_error("--build: " + dockerfile.error().message);
  project::Build build{.dockerfile = std::move(*dockerfile),
                       .dockerfile_path = (folder / project::kDockerfile).string(),
                       .clone = clone.string()};
  struct stat owner{};
  if (::stat(folder.c_str(), &owner) == 0 && owner.st_uid != 0) build.user = owner.st_uid;
  build.own_agents = std::ranges::any_of(agents, [&](const auto& agent) { return is_own(folder, agent.name); });
  return build;
}

base::Result<std::vector<project::Agent>> chosen_agents(const fs::path& folder, std::vector<std::string> names) {
  std::ranges::sort(names);  // one image for one set of agents, however they are listed
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  std::vector<project::Agent> agents;
  for (const std::string& name : names) {
    SR_LET(agent, agent_named(folder, name));
    agents.push_back(std::move(*agent));
  }
  return agents;
}

base::Result<fs::path> project_folder(const InitOptions& options) {
  std::error_code failed;
  fs::path folder = fs::canonical(options.folder, failed);
  if (!failed && !fs::is_directory(folder, failed)) failed = std::make_error_code(std::errc::not_a_directory);
  if (!failed) return folder;
  return base::usage_error(base::shown(options.folder) + ": " + failed.message());
}

// What name and network are made of: the folder's path on the machine, also where this runs in a container.
base::Result<std::string> identity_path(const InitOptions& options, const fs::path& folder) {
  if (!options.path.empty()) {
    const fs::path given = fs::path(options.path).lexically_normal();
    if (given.is_absolute() && given.has_relative_path()) {
      return given.has_filename() ? given.string() : given.parent_path().string();
    }
    return base::usage_error(
        fmt::format("--path: '{}' must be the project's absolute path", base::shown(options.path)));
  }
  if (!is_container(read_container_marks())) return folder.string();
  const auto mounts = host::read_small_file("/proc/self/mountinfo", kMaxMountInfo);
  const auto path = mounts ? project::path_on_the_machine(folder.string(), *mounts) : std::nullopt;
  if (path) return *path;
  return base::usage_error("this container does not show the project's path on the machine: add --path \"$PWD\"");
}

// Nothing is known where the system cannot be asked: then the first candidate is as good as any.
std::vector<project::UsedNetwork> used_networks() {
  return project::machine_networks().value_or(std::vector<project::UsedNetwork>{});
}

base::Result<project::Stack> planned_stack(const InitOptions& options, const fs::path& folder) {
  SR_LET(identity, identity_path(options, folder));
  SR_LET(agents, chosen_agents(folder, options.agents));
  SR_LET(build, planned_build(options, folder, *agents));
  project::Stack stack{.project = options.name,
                       .network = project::free_network(*identity, used_networks()),
                       .gateway_image = SOLEROUTE_IMAGES "/gateway:" SOLEROUTE_VERSION,
                       .agent_image = options.image,
                       .agents = std::move(*agents),
                       .engine = options.engine == "podman" ? project::Engine::kPodman : project::Engine::kDocker,
                       .build = std::move(*build)};
  if (stack.project.empty()) stack.project = project::project_name(*identity, stack.agents.front().name);
  if (!project::is_project_name(stack.project)) {
    return base::usage_error(fmt::format(
        "--name: '{}' is not a valid project name; use a-z, 0-9, '-' and '_', starting with a letter or digit",
        base::shown(stack.project)));
  }
  if (!options.network.empty()) {
    auto network = project::network_of(options.network);
    if (!network) return base::usage_error("--network: " + network.error().message);
    stack.network = std::move(*network);
  }
  if (stack.agent_image.empty()) stack.agent_image = project::image_name(stack.agents, SOLEROUTE_VERSION);
  if (!is_image_name(stack.agent_image)) {
    return base::usage_error(fmt::format("--image: '{}' is not an image's name", base::shown(stack.agent_image)));
  }
  return stack;
}

base::Result<project::FolderState> look_at(const fs::path& folder) {
  project::FolderState state;
  std::error_code failed;
  // As Compose looks for them where no .env names others.
  for (const char* name : {"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}) {
    if (fs::exists(fs::symlink_status(folder / name, failed))) state.compose_files.emplace_back(name);
  }
  const fs::path env = folder / ".env";
  const auto status = fs::symlink_status(env, failed);
  if (!fs::exists(status)) return state;
  if (!fs::is_regular_file(status)) {
    return base::usage_error(base::shown(env.string()) + " is not an ordinary file: move it away");
  }
  SR_LET(text, host::read_small_file(env.string(), kMaxEnvFile));
  state.env = std::move(*text);
  return state;
}

std::string printable_list(std::vector<std::string> paths) {
  for (std::string& path : paths) path = base::shown(path);
  return fmt::format("{}", fmt::join(paths, ", "));
}

base::Status nothing_taken(const Plan& plan) {
  const auto taken = project::taken_paths(plan.folder.string(), plan.files);
  if (taken.empty()) return {};
  return base::usage_error(
      fmt::format("{} already has {}: nothing was written. --replace keeps {} as NAME.old and writes new ones",
                  base::shown(plan.folder.string()), printable_list(taken), taken.size() == 1 ? "it" : "them"));
}

// The policy is the user's from the first edit on, and stays.
base::Status set_aside(Plan& plan) {
  const std::string folder = plan.folder.string();
  std::error_code failed;
  if (fs::exists(fs::symlink_status(plan.folder / kPolicy, failed))) {
    std::erase_if(plan.files, [](const auto& file) { return file.path == kPolicy; });
  }
  plan.set_aside = project::taken_paths(folder, plan.files);
  std::vector<project::ProjectFile> old;
  old.reserve(plan.set_aside.size());
  for (const std::string& path : plan.set_aside) old.push_back({path + ".old", {}});
  const auto taken = project::taken_paths(folder, old);
  if (taken.empty()) return {};
  return base::usage_error(fmt::format("{} already has {}: nothing was written. Move {} away", base::shown(folder),
                                       printable_list(taken), taken.size() == 1 ? "it" : "them"));
}

base::Result<Plan> planned(const InitOptions& options) {
  SR_LET(folder, project_folder(options));
  SR_LET(stack, planned_stack(options, *folder));
  SR_LET(files, project::project_files(*stack));
  SR_LET(state, look_at(*folder));
  Plan plan{.folder = *folder,
            .stack = std::move(*stack),
            .files = std::move(*files),
            .set_aside = {},
            .env = {},
            .new_env = {}};
  const std::string lines = project::env_lines(plan.stack);
  plan.env = project::plan_env(*state, lines, {.append = options.append, .replace = options.replace});
  if (plan.env.action == project::EnvAction::kUpdate) plan.new_env = project::updated_env(*state->env, lines);
  if (options.append && plan.env.action != project::EnvAction::kAppend && !plan.env.short_command) {
    return base::usage_error(fmt::format("--append: {}. Nothing was written", fmt::join(plan.env.notes, ". ")));
  }
  for (project::ProjectFile& file : plan.files) {
    if (file.path == ".env" && plan.env.action == project::EnvAction::kComment) file.text = kSilentEnv;
  }
  if (state->env) std::erase_if(plan.files, [](const auto& file) { return file.path == ".env"; });
  SR_TRY(options.replace ? set_aside(plan) : nothing_taken(plan));
  return plan;
}

// What `init` did, for people and for programs.
struct Outcome {
  std::vector<std::string> wrote;     // paths of new files
  std::vector<std::string> added_to;  // of files that existed and got lines
  std::vector<std::string> updated;   // of files that existed and changed
  std::vector<std::string> kept;      // of files that are now NAME.old
  std::vector<std::string> notes;
  std::string next;  // the command to run
};

// Made by the engine, they would be root's.
void make_own_folders(std::vector<std::string>& notes) {
  const char* home = std::getenv("HOME");
  const bool usable = home != nullptr && std::string_view(home).starts_with('/') && std::string_view(home) != "/";
  base::Status made = base::system_error("HOME is not set");
  for (const char* name : {"dotfiles", "shell.d"}) {
    if (usable) made = project::make_folders(home, fmt::format(".config/agent-sandbox/{}", name));
    if (!made) break;
  }
  if (made) return;
  notes.push_back(
      fmt::format("{}. Create these folders before the first start; otherwise the engine creates them as root:\n"
                  "        mkdir -p ~/.config/agent-sandbox/dotfiles ~/.config/agent-sandbox/shell.d",
                  made.error().message));
}

void add_notes(const Plan& plan, std::vector<std::string>& notes) {
  notes.insert(notes.end(), plan.env.notes.begin(), plan.env.notes.end());
  if (plan.env.append_possible && plan.env.action == project::EnvAction::kKeep && !plan.env.short_command) {
    notes.push_back(fmt::format(".env was not changed. To leave out -f below, add these lines to it:\n\n{}",
                                project::env_lines(plan.stack)));
  }
  if (plan.stack.build && plan.stack.build->own_agents) {
    notes.emplace_back(
        "to build an image with an agent of the project's own, use Compose v2 (not docker-compose 1.29)");
  }
  if (const auto other = project::conflict(plan.stack.network, used_networks())) {
    notes.push_back(fmt::format(
        "{} shares addresses with {} on {}, which this machine does not reach while the stack is up. To choose "
        "another: --network",
        project::subnet(plan.stack.network).to_string(), other->network.to_string(), base::shown(other->interface)));
  }
  struct stat owner{};
  if (::stat(plan.folder.c_str(), &owner) == 0 && owner.st_uid == 0) {
    notes.push_back(fmt::format(
        "{0} is owned by root, so the agent (user 501) cannot write to it. To allow it: chown -R 501:501 {0}",
        base::shown(plan.folder.string())));
  }
}

std::string next_command(const Plan& plan) {
  std::string compose = "docker compose";
  if (!plan.env.short_command) {
    for (const std::string& file : project::compose_files(plan.stack)) compose += " -f .devcontainer/" + file;
  }
  return fmt::format("{0}{1} up -d && {1} exec agent zsh", plan.stack.build ? compose + " build && " : "", compose);
}

base::Result<Outcome> carry_out(const Plan& plan) {
  if (auto written = project::write_new_files(plan.folder.string(), plan.files, plan.set_aside); !written) {
    return std::unexpected(base::Error{written.error().message + ". Nothing was written", written.error().kind, 0});
  }
  Outcome outcome;
  for (const project::ProjectFile& file : plan.files) outcome.wrote.push_back((plan.folder / file.path).string());
  const std::string env = (plan.folder / ".env").string();
  if (plan.env.action == project::EnvAction::kAppend) {
    SR_TRY(project::append_lines(env, project::env_lines(plan.stack)));
    outcome.added_to.push_back(env);
  }
  if (plan.env.action == project::EnvAction::kUpdate) {
    SR_TRY(project::replace_text(env, plan.new_env));
    outcome.updated.push_back(env);
  }
  for (const std::string& path : plan.set_aside) outcome.kept.push_back((plan.folder / path).string());
  make_own_folders(outcome.notes);
  add_notes(plan, outcome.notes);
  outcome.next = next_command(plan);
  return outcome;
}

void print_text(const Outcome& outcome) {
  for (const std::string& path : outcome.wrote) fmt::print("wrote {}\n", base::shown(path));
  for (const std::string& path : outcome.added_to) fmt::print("added to {}\n", base::shown(path));
  for (const std::string& path : outcome.updated) fmt::print("updated {}\n", base::shown(path));
  for (const std::string& path : outcome.kept) fmt::print("kept {0} as {0}.old\n", base::shown(path));
  for (const std::string& note : outcome.notes) fmt::print("note: {}\n", note);
  fmt::print("next: {}\n", outcome.next);
}

void print_json(const Outcome& outcome) {
  const nlohmann::ordered_json json{{"wrote", outcome.wrote},     {"added_to", outcome.added_to},
                                    {"updated", outcome.updated}, {"kept_as_old", outcome.kept},
                                    {"notes", outcome.notes},     {"next", outcome.next}};
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int init(const InitOptions& options) {
  const auto plan = planned(options);
  if (!plan) return report(plan.error());
  const auto outcome = carry_out(*plan);
  if (!outcome) return report(outcome.error());
  if (options.format == "json") {
    print_json(*outcome);
  } else {
    print_text(*outcome);
  }
  return kExitDone;
}

}  // namespace

void add_init(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<InitOptions>();
  CLI::App& command = add_command(
      program, invocation, "init", "write a project's container stack (.devcontainer, .env)",
      "gateway init --agent claude\n\nExisting files are never overwritten.", [options] { return init(*options); });
  command.add_option("--agent", options->agents, "agents to install, separated by commas (see 'gateway agents')")
      ->default_str("claude")
      ->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("NAME[,NAME]");
  command
      .add_option("--name", options->name, "Compose project name (default: name of the folder and a hash of its path)")
      ->type_name("NAME");
  command
      .add_option("--network", options->network,
                  "network of the agents, a private IPv4 /24 (default: derived from the path)")
      ->type_name("CIDR");
  command.add_option("--image", options->image, "image of the agent (default: soleroute/AGENTS:" SOLEROUTE_VERSION ")")
      ->type_name("IMAGE");
  command.add_option("--engine", options->engine, "container engine")
      ->capture_default_str()
      ->check(CLI::IsMember({"docker", "podman"}))
      ->type_name("docker|podman");
  command.add_flag("--replace", options->replace,
                   "write all files again; keep old ones as NAME.old and leave policy.yaml alone");
  command.add_flag("--append", options->append, "add the lines that Compose needs to an existing .env");
  command
      .add_option("--build", options->build,
                  "build the images from this clone of Soleroute (with 'docker compose build')")
      ->type_name("CLONE");
  command.add_option("--path", options->path, "path of the folder on the machine, if init runs in a container")
      ->type_name("PATH");
  add_format_option(command, options->format);
  command.add_option("folder", options->folder, "folder of the project")->capture_default_str()->type_name("DIR");
}

}  // namespace soleroute::gateway::commands
