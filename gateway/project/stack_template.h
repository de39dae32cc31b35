// A project's files: compose/template, filled in with the values of one project.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/project/agent_file.h"

namespace soleroute::gateway::project {

enum class Engine { kDocker, kPodman };

// For a project that builds its images itself.
struct Build {
  std::string dockerfile;          // its text, which is written beside compose.yaml
  std::string dockerfile_path;     // absolute
  std::string clone;               // absolute path of a clone of the repository
  std::optional<unsigned> user{};  // of the workspace's files; absent: the image's own default
  bool own_agents = false;         // some of the agents are files of the project
};

struct Stack {
  std::string project;        // Compose's name for it
  std::string network;        // "10.1.2" of 10.1.2.0/24
  std::string gateway_image;  // "soleroute/gateway:0.1.0"
  std::string agent_image;
  std::vector<Agent> agents;  // at least one
  Engine engine = Engine::kDocker;
  std::optional<Build> build{};
};

struct ProjectFile {
  std::string path;  // below the project's folder
  std::string text;

  bool operator==(const ProjectFile&) const = default;
};

// Below the project's folder.
inline constexpr std::string_view kDockerfile = ".devcontainer/Dockerfile";

// "soleroute/claude-codex:0.1.0": the image that has these agents.
[[nodiscard]] std::string image_name(const std::vector<Agent>& agents, std::string_view version);

// All of them, with literal values: an IDE that reads no .env starts the same stack as a terminal. Agents that want one
// folder or different values of one variable are a kUsage error.
[[nodiscard]] base::Result<std::vector<ProjectFile>> project_files(const Stack& stack);

// Compose's files of the stack, below .devcontainer, in the order in which they are merged.
[[nodiscard]] std::vector<std::string> compose_files(const Stack& stack);

// The .env lines that name the project and its Compose files; they are in a project's .env too.
[[nodiscard]] std::string env_lines(const Stack& stack);

}  // namespace soleroute::gateway::project
